// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigModels
internal import Guarantees
internal import LookupService

/// One process of a server: the real caches, hub, service and router, with simulated sources and a simulated worker.
final class SimulatedServer {
  /// One of the three caches, and when its two threads continue.
  struct Steps {
    let stream: () -> Duration
    let read: () -> Duration?
    let close: () -> Void
    let reload: () -> Void
    var streamDue = MonotonicTime(nanoseconds: 0)
    var readDue = MonotonicTime(nanoseconds: 0)
    var isReading = false
    var isFollowing = false
  }

  struct Limits {
    var ttl = Duration.seconds(5)
    var replay = 10_000
    var queuedKeys = 10_000
    var historyWindow = Duration.seconds(600)
    var majorityLag = Duration.seconds(3)
  }

  // Safe to share: a simulation runs on one thread.
  private final class Moment: @unchecked Sendable {
    weak var server: SimulatedServer?
  }

  /// The outcome of a call.
  enum Outcome {
    case reply(LookupReply)
    case wait(RPCWait)
  }

  let name: String
  let sources: [SimulatedSource]
  let worker: SimulatedWorker
  let limits: Limits
  private(set) var caches: [Steps] = []
  /// The actions of other threads at the moment when notices have been delivered and the cache has not continued yet.
  var onPublished: () -> Void = {}
  /// The actions of another thread while the cache's thread is between two stores of one publication.
  var betweenStores: (Collection) -> Void = { _ in }
  /// The actions of the cache's threads between two lookups of one call.
  var betweenLooks: (Collection) -> Void = { _ in }
  /// Returns the content that belongs to an etag.
  var label: (String) -> String? = { _ in nil }
  /// The token of the last page that a list returned. The next property is the page's last row.
  var pageToken = ""
  var lastKey: [String]?
  /// Whether a call is being answered.
  var isAnswering = false
  /// Whether a cache is in the middle of a publication, and holds its engine's lock.
  var isPublishing = false
  let clock: SimulatedClock
  private let hub: InvalidationHub
  private let service: LookupService
  let methods: [String: RPCMethod]
  let plainCalls: [String: any RPCPlainCalls]

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
      options.ttl = limits.ttl
      options.rowsPerHandover = 1
      options.reloadJitter = 0
      options.historyWindow = limits.historyWindow
      options.majorityLagLimit = limits.majorityLag
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
    let agentConfigs = cache(.agentConfig, as: AgentConfigDocument.self)
    let prompts = cache(.prompt, as: PromptDocument.self)
    let sourceConfigs = cache(.sourceConfig, as: SourceConfigDocument.self)
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
    for (index, cache) in served.enumerated() {
      guard let collection = Collection(rawValue: index) else { continue }
      cache.reader.onStored = { moment.server?.betweenStores(collection) }
      cache.reader.onLook = { moment.server?.betweenLooks(collection) }
    }
  }

  /// Whether every collection has been read completely at least once. Before that, no cache can be warm.
  var mayBeWarm: Bool { sources.allSatisfy { $0.readCount > 0 } }
  /// Whether one of the server's threads is in the middle of a step.
  var isBusy: Bool { caches.contains { $0.isReading || $0.isFollowing } }

  /// The number of changed keys that are queued for slow watches.
  var queuedKeyCount: Int { service.watchFigures.queuedKeys }
  /// The maximum number of notices that a cache keeps for watches that start in the past.
  var replayableCount: Int { service.figures.map(\.replayableNotices).max() ?? 0 }

  // MARK: Steps

  func stepStream(_ collection: Collection) {
    let index = collection.rawValue
    guard clock.now >= caches[index].streamDue, !caches[index].isFollowing else { return }
    caches[index].isFollowing = true
    // The length of the wait is random; only its existence matters.
    let wait = caches[index].stream()
    caches[index].isFollowing = false
    if wait > .zero { caches[index].streamDue = clock.now.advanced(by: .milliseconds(20)) }
  }

  func stepRead(_ collection: Collection) {
    let index = collection.rawValue
    guard clock.now >= caches[index].readDue, !caches[index].isReading else { return }
    caches[index].isReading = true
    let wait = caches[index].read() ?? .zero
    caches[index].isReading = false
    if wait > .zero { caches[index].readDue = clock.now.advanced(by: .milliseconds(20)) }
  }

  /// Ends the process.
  func stop() {
    for cache in caches { cache.close() }
    hub.stop()
    worker.clear()
    for source in sources { (source.betweenRows, source.onTheWay) = ({}, { _ in }) }
    onPublished = {}
    betweenStores = { _ in }
    betweenLooks = { _ in }
  }
}
