internal import ChangeStreamCache
internal import ConfigModels
internal import Core
internal import Guarantees
internal import LookupService
internal import RPC

/// One life of one server: the real caches, hub, service and router, over simulated sources and a simulated worker.
final class SimulatedServer {
  /// One of the three caches, and when its two threads go on.
  struct Steps {
    let stream: () -> Double
    let read: () -> Double?
    let close: () -> Void
    let reload: () -> Void
    var streamDue = MonotonicTime(nanoseconds: 0)
    var readDue = MonotonicTime(nanoseconds: 0)
    var isReading = false
  }

  struct Limits {
    var ttlSeconds = 5.0
    var replay = 10_000
    var queuedKeys = 10_000
    var historySeconds = 600.0
  }

  // Safe to share: a simulation is one thread.
  private final class Moment: @unchecked Sendable {
    weak var server: SimulatedServer?
  }

  /// What came of a call.
  enum Outcome {
    case reply(LookupReply)
    case wait(RPCWait)
  }

  let name: String
  let sources: [SimulatedSource]
  let worker: SimulatedWorker
  let limits: Limits
  private(set) var caches: [Steps] = []
  /// What other threads do at the moment when notices have been handed on, and the cache has not gone on yet.
  var onPublished: () -> Void = {}
  private let clock: SimulatedClock
  private let hub: InvalidationHub
  private let service: LookupService
  private let methods: [String: RPCMethod]
  private let plainCalls: [String: any RPCPlainCalls]

  init(_ name: String, _ sources: [SimulatedSource], _ clock: SimulatedClock, _ limits: Limits) {
    self.name = name
    self.sources = sources
    self.clock = clock
    self.limits = limits
    let worker = SimulatedWorker(clock)
    let hub = InvalidationHub(replayLimit: limits.replay)
    self.worker = worker
    self.hub = hub
    let moment = Moment()
    func cache<Model: CachedModel>(_ entity: ServedEntity, as _: Model.Type) -> ChangeStreamCache<Model> {
      var options = ChangeStreamCache<Model>.Options()
      options.ttlSeconds = limits.ttlSeconds
      options.rowsPerHandover = 1
      options.reloadJitter = 0
      options.historySeconds = limits.historySeconds
      return ChangeStreamCache(
        source: sources[entity.rawValue], options: options, clock: clock,
        onInvalidation: {
          hub.publish(entity, $0)
          moment.server?.onPublished()
        },
        onObserved: { hub.observed() }, onHistoryStart: { hub.beginHistory(entity, after: $0) },
        onEarlierHistory: { hub.extendHistory(entity, from: $0, $1) })
    }
    func steps<Model: CachedModel>(_ cache: ChangeStreamCache<Model>) -> Steps {
      Steps(
        stream: { cache.stepStream() }, read: { cache.stepRead() }, close: { cache.closeStream() },
        reload: { cache.reload() })
    }
    let agentConfigs = cache(.agentConfig, as: AgentConfig.self)
    let prompts = cache(.prompt, as: Prompt.self)
    let sourceConfigs = cache(.sourceConfig, as: SourceConfig.self)
    caches = [steps(agentConfigs), steps(prompts), steps(sourceConfigs)]
    let served = [ServedCache(agentConfigs), ServedCache(prompts), ServedCache(sourceConfigs)]
    var options = LookupService.Options()
    options.maximumQueuedKeys = limits.queuedKeys
    service = LookupService(
      caches: served, hub: hub, epoch: EpochSource(readers: served.map(\.reader), salt: ""), workers: [worker],
      options: options)
    methods = Dictionary(uniqueKeysWithValues: service.methods.map { ($0.name, $0) })
    plainCalls = methods.compactMapValues { $0.plain?(worker.index) }
    moment.server = self
  }

  /// Whether every collection has been read to its end at least once: before, nothing can be warm.
  var mayBeWarm: Bool { sources.allSatisfy { $0.readCount > 0 } }
  var isReading: Bool { caches.contains { $0.isReading } }

  // MARK: Steps

  func stepStream(_ collection: Collection) {
    let index = collection.rawValue
    guard clock.now >= caches[index].streamDue else { return }
    // The wait's length is up to chance: what matters is that there is one.
    let wait = caches[index].stream()
    if wait > 0 { caches[index].streamDue = clock.now.advanced(bySeconds: 0.02) }
  }

  func stepRead(_ collection: Collection) {
    let index = collection.rawValue
    guard clock.now >= caches[index].readDue, !caches[index].isReading else { return }
    caches[index].isReading = true
    let wait = caches[index].read() ?? 0
    caches[index].isReading = false
    if wait > 0 { caches[index].readDue = clock.now.advanced(bySeconds: 0.02) }
  }

  /// The process ends.
  func stop() {
    for cache in caches { cache.close() }
    hub.stop()
    worker.clear()
    for source in sources { source.betweenRows = {} }
    onPublished = {}
  }

  // MARK: Calls

  func lookUp(_ lookup: Lookup, ifNoneMatch: String = "", epoch: String) -> Outcome {
    let request = request(lookup, ifNoneMatch, epoch)
    guard let method = methods[request.method], case .unary(let handler) = method.handler else {
      preconditionFailure("no method \(request.method)")
    }
    var reply = RPCReply()
    var wait: RPCWait?
    var status = RPCStatus.ok
    worker.beginCall()
    request.bytes.withUnsafeBytes { buffer in
      // As a transport does: first the short way.
      if let plain = plainReply(request.method, buffer) {
        (reply.head, reply.body) = (Array(plain.head), Array(plain.body))
        return
      }
      let call = RPCRequest(message: buffer, metadata: RPCMetadata(), deadline: nil, worker: worker)
      do throws(RPCStatus) {
        wait = try handler(call, &reply)
      } catch {
        status = error
      }
    }
    if let wait { return .wait(wait) }
    return .reply(read(lookup, status, reply))
  }

  private func plainReply(_ method: String, _ message: UnsafeRawBufferPointer) -> RPCPlainReply? {
    guard let calls = plainCalls[method] else { return nil }
    withUnsafePointer(to: message) { calls.prepare(for: UnsafeBufferPointer(start: $0, count: 1)) }
    return calls.reply(at: 0, nil)
  }

  func watch(_ request: Wire, _ writer: any RPCStreamWriter) -> (any RPCStreamHandler)? {
    guard case .serverStreaming(let handler)? = methods["WatchInvalidations"]?.handler else { return nil }
    var reply = RPCReply()
    return request.encoded.withUnsafeBytes { buffer in
      let call = RPCRequest(message: buffer, metadata: RPCMetadata(), deadline: nil, worker: worker)
      return try? handler(call, writer, &reply)
    }
  }

  /// `prompt:x:staged` and the like as a request.
  private func request(_ lookup: Lookup, _ ifNoneMatch: String, _ epoch: String) -> (method: String, bytes: [UInt8]) {
    var options = Wire()
    options.add(1, ifNoneMatch)
    options.add(2, lookup.minimumRevision.rawValue)
    if lookup.minimumRevision > .none { options.add(3, epoch) }
    options.add(4, lookup.maximumStalenessMilliseconds)
    var parts = lookup.key.split(separator: ":").map(String.init)
    var wire = Wire()
    switch parts.removeFirst() {
    case "agent_config":
      wire.add(1, parts[0])
      if !options.isEmpty { wire.add(2, options) }
      return ("GetAgentConfig", wire.encoded)
    case "source_config":
      wire.add(1, parts[0])
      if !options.isEmpty { wire.add(4, options) }
      return ("GetSourceConfig", wire.encoded)
    default:
      let isByID = parts[0] == "by-id"
      if isByID { parts.removeFirst() }
      wire.add(isByID ? 2 : 1, parts[0])
      if parts.count > 1 { wire.add(3, 2) }
      if !options.isEmpty { wire.add(5, options) }
      return ("GetPrompt", wire.encoded)
    }
  }

  private func read(_ lookup: Lookup, _ status: RPCStatus, _ reply: RPCReply) -> LookupReply {
    guard status.code == .ok else {
      var result = LookupReply(
        status.code == .notFound
          ? .notFound : .refused(isUnavailable: status.code == .unavailable, status.description))
      result.observed = Revision(reply.metadata["configlookup-observed-revision"].flatMap { UInt64($0) } ?? 0)
      result.epoch = reply.metadata["configlookup-epoch"] ?? ""
      return result
    }
    let message = Wire((reply.head + reply.body)[...])
    let metadata = message.message(2)
    let label = message.bytes(1).map { SimulatedServer.label(Wire($0), lookup.key) }
    var result = LookupReply(
      .found(label: label, etag: metadata.text(2), revision: Revision(metadata.number(1))))
    result.isStale = metadata.number(4) != 0
    result.ageMilliseconds = metadata.number(5)
    result.observed = Revision(metadata.number(7))
    result.epoch = metadata.text(8)
    let index = Collection.allCases.firstIndex { lookup.key.hasPrefix($0.entity + ":") } ?? 0
    result.leastAgeMilliseconds = clock.now.milliseconds(since: sources[index].lastContact)
    return result
  }

  /// The text that says what is in a document, from its encoded message.
  static func label(_ value: Wire, _ key: String) -> String {
    if key.hasPrefix("agent_config:") { return value.text(6) }
    if key.hasPrefix("source_config:") { return value.text(3) }
    return value.message(6).text(2)
  }
}
