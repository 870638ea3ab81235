internal import ChangeStreamCache
public import Core
internal import ProtobufMessages
public import RPC
internal import Synchronization

/// The methods of `configlookup.v1`, over caches and hub: knows neither sockets nor MongoDB.
///
/// Handlers run on a worker's thread and answer from memory.
public final class LookupService: Sendable {
  public struct Options: Sendable {
    /// Contents that nothing has confirmed for longer get UNAVAILABLE; nil: they go on being served.
    public var maximumStalenessSeconds: Double?
    /// A lookup waits so long for its `min_revision`, and is refused then.
    public var maximumRevisionWaitSeconds = 5.0
    /// So many changed keys wait for a slow subscriber; past that it gets one RESYNC.
    public var maximumQueuedKeys = 10_000
    /// Watches that are open at once, on all connections; more get RESOURCE_EXHAUSTED.
    public var maximumSubscribers = 10_000
    /// Lookups that wait for their `min_revision` at once, on all connections; more get RESOURCE_EXHAUSTED.
    public var maximumWaitingCalls = 10_000
    /// A shorter `progress_interval_ms` is raised to this.
    public var minimumProgressInterval: Duration = .seconds(1)
    /// After so much work for watches an event loop goes on to lookups, whatever the clock says. A notice that is sent
    /// counts as about six.
    package var unitsPerSlice = 16_384

    public init() {}
  }

  public static let serviceName = "configlookup.v1.ConfigLookup"
  public static let adminServiceName = "configlookup.v1.ConfigLookupAdmin"

  let caches: [ServedCache]
  let options: Options
  let epoch: EpochSource
  let hub: InvalidationHub
  let report: LimitReport
  let logger: Logger
  /// Of reloads by hand, by the name of the credential.
  let reloadLog: RateLimitedLogger
  let states: [WorkerState]
  let waitingCalls: WaitingCallLimit
  private let wasWarm = Atomic<Bool>(false)

  /// `caches` are in the order of ``ServedEntity``; `hub` takes their invalidations; `workers` are all the threads that
  /// calls live on.
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

  /// Whether every cache has been loaded. Once true it stays true, so the answer is kept: every call asks.
  public var isWarm: Bool {
    if wasWarm.load(ordering: .acquiring) { return true }
    guard caches.allSatisfy(\.reader.isLoaded) else { return false }
    wasWarm.store(true, ordering: .releasing)
    return true
  }

  /// The methods, for a router.
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

  /// Credentials have changed: watches end that are not permitted any more, soon. Any thread.
  public func credentialsChanged() {
    for state in states { state.shard.checkCallers() }
  }

  /// How many watches are open.
  public var subscriberCount: Int {
    states.reduce(0) { $0 + $1.shard.count }
  }

  /// What belongs to the thread of the call.
  func state(_ request: borrowing RPCRequest) -> WorkerState {
    states[request.worker.index]
  }

  private typealias Lookup =
    @Sendable (LookupService) ->
    @Sendable (
      CacheView, WorkerState, borrowing RPCRequest, inout RPCReply
    ) throws(RPCStatus) -> RPCWait?

  /// A method that looks into one cache. Whatever it answers, an error too, says as of when: as of before it looked.
  private func lookup(
    _ name: String, _ entity: ServedEntity, _ body: @escaping Lookup,
    _ plain: ((LookupService) -> @Sendable (WorkerState) -> PlainLookup)? = nil
  ) -> RPCMethod {
    let answer = body(self)
    var plainCalls: (@Sendable (Int) -> any RPCPlainCalls)?
    if let plain = plain?(self) { plainCalls = { plain(self.states[$0]) } }
    let right = entity.readRight
    return RPCMethod(
      service: Self.serviceName, name: name,
      handler: .unary { request, reply throws(RPCStatus) in
        try request.require(right)
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
          // NOT_FOUND is an answer, too; what was wrong with the request is none.
          if error.code != .invalidArgument { state.counters[entity.rawValue].count(isValid: view.isValid) }
          self.addPosition(view, state, &reply)
          throw error
        }
      }, plain: plainCalls)
  }
}
