internal import ChangeStreamCache
internal import Core
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

    public init() {}
  }

  static let serviceName = "configlookup.v1.ConfigLookup"
  static let adminServiceName = "configlookup.v1.ConfigLookupAdmin"

  let caches: [ServedCache]
  let options: Options
  let epoch: EpochSource
  let hub: InvalidationHub
  private let states: [WorkerState]
  private let wasWarm = Atomic<Bool>(false)

  /// `caches` are in the order of ``ServedEntity``; `hub` takes their invalidations; `workers` are all the threads that
  /// calls live on.
  public init(
    caches: [ServedCache], hub: InvalidationHub, epoch: EpochSource, workers: [any RPCWorker],
    options: Options = Options()
  ) {
    precondition(caches.count == ServedEntity.allCases.count, "a cache for each entity")
    self.caches = caches
    self.hub = hub
    self.epoch = epoch
    self.options = options
    states = workers.map { WorkerState(lane: WatchLane(worker: $0, readers: caches.map(\.reader))) }
    hub.start(epoch: epoch, lanes: states.map(\.lane))
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
      unary("GetAgentConfig", .agentConfig) { service, request, reply throws(RPCStatus) in
        try service.getAgentConfig(request, &reply)
      },
      unary("GetPrompt", .prompt) { service, request, reply throws(RPCStatus) in try service.getPrompt(request, &reply)
      },
      unary("GetSourceConfig", .sourceConfig) { service, request, reply throws(RPCStatus) in
        try service.getSourceConfig(request, &reply)
      },
      unary("ResolveBlob", .sourceConfig) { service, request, reply throws(RPCStatus) in
        try service.resolveBlob(request, &reply)
      },
      unary("ListAgentConfigs", .agentConfig) { service, request, reply throws(RPCStatus) in
        try service.listAgentConfigs(request, &reply)
      },
      unary("ListPrompts", .prompt) { service, request, reply throws(RPCStatus) in
        try service.listPrompts(request, &reply)
      },
      unary("ListSourceConfigs", .sourceConfig) { service, request, reply throws(RPCStatus) in
        try service.listSourceConfigs(request, &reply)
      },
      unary("GetCacheStatus") { service, request, reply throws(RPCStatus) in
        try service.getCacheStatus(request, &reply)
      },
      RPCMethod(
        service: Self.serviceName, name: "WatchInvalidations",
        handler: .serverStreaming { request, writer, reply throws(RPCStatus) in
          do throws(RPCStatus) {
            return try self.watchInvalidations(request, writer, &reply)
          } catch {
            self.addMissingPosition(ServedEntity.allCases, self.state(request), &reply)
            throw error
          }
        }),
      unary("InvalidateCache", service: Self.adminServiceName) { service, request, reply throws(RPCStatus) in
        try service.invalidateCache(request, &reply)
      },
    ]
  }

  /// How many watches are open.
  public var subscriberCount: Int {
    states.reduce(0) { $0 + $1.lane.count }
  }

  /// What belongs to the thread of the call.
  func state(_ request: borrowing RPCRequest) -> WorkerState {
    states[request.worker.index]
  }

  /// A method about `entity`: an error, too, says as of when.
  private func unary(
    _ name: String, _ entity: ServedEntity? = nil, service: String = LookupService.serviceName,
    _ handler: @escaping @Sendable (LookupService, borrowing RPCRequest, inout RPCReply) throws(RPCStatus) -> RPCWait?
  ) -> RPCMethod {
    RPCMethod(
      service: service, name: name,
      handler: .unary { request, reply throws(RPCStatus) in
        do throws(RPCStatus) {
          return try handler(self, request, &reply)
        } catch {
          if let entity { self.addMissingPosition([entity], self.state(request), &reply) }
          throw error
        }
      })
  }
}

/// What one worker's thread keeps for its calls.
final class WorkerState: @unchecked Sendable {
  // Safe to share: `arena` and the epoch are used on the worker's own thread only; `lane` takes care of itself.
  let lane: WatchLane
  let arena = ProtobufArena()
  private var epochGeneration = -1
  private var epochText = ""

  init(lane: WatchLane) {
    self.lane = lane
  }

  /// ``EpochSource/current`` without its lock, as long as it has not changed.
  func epoch(_ source: EpochSource) -> String {
    let generation = source.generation
    if generation != epochGeneration {
      epochText = source.current
      epochGeneration = generation
    }
    return epochText
  }
}
