// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
public import ConfigLookupCore
public import ConfigLookupRPC
internal import ProtobufMessages
internal import Synchronization

/// The methods of the package `configlookup.v1`, on top of the caches and the hub. It depends on neither sockets nor
/// MongoDB.
///
/// Handlers run on a worker's thread and answer from memory.
public final class LookupService: Sendable {
  /// The limits of a ``LookupService``.
  public struct Options: Sendable {
    /// The time after which contents that were not verified are no longer served: calls get UNAVAILABLE. Nil for no
    /// limit.
    public var maximumStaleness: Duration? {
      didSet { maximumStalenessMilliseconds = maximumStaleness.map { UInt64(clamping: $0.milliseconds) } ?? .max }
    }
    /// ``maximumStaleness`` in whole milliseconds, which each lookup compares with an age; the maximum for no limit.
    private(set) var maximumStalenessMilliseconds = UInt64.max
    /// The time that a lookup waits for its `min_revision` before it is rejected.
    public var maximumRevisionWait = Duration.seconds(5)
    /// The maximum number of changed keys in the coalescing queue of a slow subscriber. Above it, one RESYNC replaces
    /// them.
    public var maximumQueuedKeys = 10_000
    /// The maximum number of open watches on all connections. Above it, a watch gets RESOURCE_EXHAUSTED.
    public var maximumSubscribers = 10_000
    /// The maximum number of lookups on all connections that wait for their `min_revision`. Above it, a lookup gets
    /// RESOURCE_EXHAUSTED.
    public var maximumWaitingCalls = 10_000
    /// The shortest progress interval. A shorter `progress_interval_ms` is raised to it.
    public var minimumProgressInterval: Duration = .seconds(1)
    /// The maximum number of units of work for watches in one event-loop iteration, whatever time has passed. A notice
    /// that is sent counts as about six units.
    package var unitsPerSlice = 16_384

    /// Makes the default limits.
    public init() {}
  }

  /// The full name of the service `ConfigLookup`.
  public static let serviceName = "configlookup.v1.ConfigLookup"
  /// The full name of the service `ConfigLookupAdmin`.
  public static let adminServiceName = "configlookup.v1.ConfigLookupAdmin"

  let caches: [ServedCache]
  let options: Options
  let epoch: EpochSource
  let hub: InvalidationHub
  let report: LimitReport
  let logger: Logger
  /// Logs manual reloads, rate-limited by the name of the credential.
  let reloadLog: RateLimitedLogger
  let states: [WorkerState]
  let waitingCalls: WaitingCallLimit
  private let wasWarm = Atomic<Bool>(false)

  /// Makes the service, and connects the hub with its workers.
  ///
  /// - Parameters:
  ///   - caches: the caches, in the order of ``ServedEntity``.
  ///   - hub: receives the invalidations of `caches`.
  ///   - epoch: identifies the database.
  ///   - workers: all threads on which calls are handled.
  ///   - options: the limits.
  ///   - report: records rejections by limits.
  ///   - logger: logs manual reloads.
  public init(
    caches: [ServedCache], hub: InvalidationHub, epoch: EpochSource, workers: [any RPCWorker],
    options: Options = Options(), report: LimitReport = LimitReport(), logger: Logger = .silent
  ) {
    self.report = report
    self.logger = logger
    reloadLog = RateLimitedLogger(logger)
    precondition(caches.count == ServedEntity.allCases.count, "a cache for each entity")
    self.caches = caches
    self.hub = hub
    self.epoch = epoch
    self.options = options
    let waitingCalls = WaitingCallLimit(maximum: options.maximumWaitingCalls)
    self.waitingCalls = waitingCalls
    states = workers.map { worker in
      WorkerState(
        worker,
        shard: WatchShard(
          worker: worker, readers: caches.map(\.reader), epoch: epoch, waitingCalls: waitingCalls,
          unitsPerSlice: options.unitsPerSlice, minimumProgressInterval: options.minimumProgressInterval), epoch)
    }
    hub.start(shards: states.map(\.shard))
  }

  /// Whether every cache has been loaded. Once true it stays true; the result is stored, because every call needs it.
  /// Any thread.
  public var isWarm: Bool {
    if wasWarm.load(ordering: .acquiring) { return true }
    guard caches.allSatisfy(\.reader.isLoaded) else { return false }
    wasWarm.store(true, ordering: .releasing)
    return true
  }

  /// The methods, to be registered with a router.
  public var methods: [RPCMethod] {
    [
      lookup("GetAgentConfig", .agentConfig, LookupService.getAgentConfig, LookupService.plainAgentConfig),
      lookup("GetPrompt", .prompt, LookupService.getPrompt, LookupService.plainPrompt),
      lookup("GetSourceConfig", .sourceConfig, LookupService.getSourceConfig, LookupService.plainSourceConfig),
      lookup("ResolveBlob", .sourceConfig, LookupService.resolveBlob),
      lookup("ListAgentConfigs", .agentConfig, LookupService.listAgentConfigs),
      lookup("ListPrompts", .prompt, LookupService.listPrompts),
      lookup("ListSourceConfigs", .sourceConfig, LookupService.listSourceConfigs),
      RPCMethod(
        service: Self.serviceName, name: "GetCacheStatus",
        handler: .unary { request, reply throws(RPCStatus) in
          try self.getCacheStatus(request, &reply)
          return nil
        }),
      RPCMethod(
        service: Self.serviceName, name: "WatchInvalidations",
        handler: .serverStreaming { request, writer, reply throws(RPCStatus) in
          try self.watchInvalidations(request, writer, &reply)
        }),
      RPCMethod(
        service: Self.adminServiceName, name: "InvalidateCache",
        handler: .unary { request, reply throws(RPCStatus) in
          try request.require(.admin)
          try self.invalidateCache(request, &reply)
          return nil
        }),
    ]
  }

  /// Ends the watches whose callers are not permitted any more, soon after the credentials have changed. Any thread.
  public func credentialsChanged() {
    for state in states { state.shard.checkCallers() }
  }

  /// The number of open watches. Any thread.
  public var subscriberCount: Int {
    states.reduce(0) { $0 + $1.shard.count }
  }

  /// The state of the worker on whose thread the call is handled.
  func state(_ request: borrowing RPCRequest) -> WorkerState {
    states[request.worker.index]
  }

  private typealias Lookup =
    @Sendable (LookupService) ->
    @Sendable (
      CacheView, WorkerState, borrowing RPCRequest, inout RPCReply
    ) throws(RPCStatus) -> RPCWait?

  /// Makes a method that reads one cache. Its replies, errors too, carry the cache's position as of before the read.
  private func lookup(
    _ name: String, _ entity: ServedEntity, _ body: @escaping Lookup,
    _ plain: ((LookupService) -> @Sendable (WorkerState) -> PlainLookup)? = nil
  ) -> RPCMethod {
    let answer = body(self)
    var plainCalls: (@Sendable (Int) -> any RPCPlainCalls)?
    if let plain = plain?(self) { plainCalls = { plain(self.states[$0]) } }
    let permission = entity.readPermission
    return RPCMethod(
      service: Self.serviceName, name: name,
      handler: .unary { request, reply throws(RPCStatus) in
        try request.require(permission)
        let state = self.state(request)
        do throws(RPCStatus) {
          try self.requireWarm()
        } catch {
          state.counters[entity.rawValue].count(isValid: false)
          throw error
        }
        let view = state.view(entity)
        do throws(RPCStatus) {
          try self.requireFresh(view)
          guard let wait = try answer(view, state, request, &reply) else {
            state.counters[entity.rawValue].count(isValid: view.isValid)
            return nil
          }
          self.addPosition(view, state, &reply)
          return wait
        } catch {
          // NOT_FOUND is an answer and is counted; a rejected request is not.
          if error.code != .invalidArgument { state.counters[entity.rawValue].count(isValid: view.isValid) }
          self.addPosition(view, state, &reply)
          throw error
        }
      }, plain: plainCalls)
  }
}
