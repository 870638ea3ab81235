public import ChangeStreamCache
public import Core
internal import ProtobufMessages

/// From the caches to the lanes: encodes each notice once, and hands it to every worker's lane.
///
/// Made before caches and service, because both need it. Any thread.
public final class InvalidationHub: Sendable {
  private let lanes = Locked<[WatchLane]>([])
  /// By ``ServedEntity``.
  private let buffers: [Locked<ReplayBuffer>]
  /// By ``ServedEntity``.
  private let counters = ServedEntity.allCases.map { _ in Locked(InvalidationCounters()) }

  /// Keeps the last `replayLimit` notices of each cache for watches that start in the past.
  public init(replayLimit: Int = 10_000) {
    buffers = ServedEntity.allCases.map { _ in Locked(ReplayBuffer(limit: replayLimit)) }
  }

  /// Takes a cache's invalidations, on the cache's thread, in order.
  public func publish(_ entity: ServedEntity, _ invalidations: [Invalidation]) {
    guard !invalidations.isEmpty else { return }
    counters[entity.rawValue].withLock { $0.count(invalidations) }
    let notices = invalidations.map { Notice($0, entity) }
    // First the buffer, then the lanes: a watch that has replayed the buffer leaves out what its lane brings again.
    buffers[entity.rawValue].withLock { $0.append(notices) }
    let news = notices.map { WatchLane.News.notice($0) }
    for lane in lanes.withLock({ $0 }) { lane.post(news) }
  }

  /// Every change of the cache after `revision` will be published; before it some may have gone unseen.
  public func beginHistory(_ entity: ServedEntity, after revision: Revision) {
    buffers[entity.rawValue].withLock { $0.begin(after: revision) }
    for lane in lanes.withLock({ $0 }) { lane.post([.gap(entity)]) }
  }

  /// What changed before history began, from `revision` on.
  public func extendHistory(_ entity: ServedEntity, from revision: Revision, _ invalidations: [Invalidation]) {
    let notices = invalidations.map { Notice($0, entity) }
    buffers[entity.rawValue].withLock { $0.prepend(notices, from: revision) }
  }

  /// What changed at `revision` or after it, nil where that is not known exactly; and the sequence number of the last
  /// notice in the buffer.
  func replay(
    _ entity: ServedEntity, since revision: Revision, isNewcomer: Bool, withValues: Bool
  ) -> (notices: [Notice]?, sequence: UInt64) {
    buffers[entity.rawValue].withLock {
      ($0.since(revision, isNewcomer: isNewcomer, withValues: withValues), $0.lastSequence)
    }
  }

  /// What has been published of the cache, and what of it can be replayed.
  func figures(_ entity: ServedEntity) -> CacheFigures {
    var figures = CacheFigures()
    figures.invalidations = counters[entity.rawValue].withLock { $0.counts }
      .map { CacheFigures.Invalidations(reason: $0.key.reason, itemID: $0.key.itemID, count: $0.value) }
      .sorted { ($0.reason, $0.itemID) < ($1.reason, $1.itemID) }
    (figures.replayableNotices, figures.replayFloor) = buffers[entity.rawValue].withLock { ($0.count, $0.floor) }
    return figures
  }

  /// An observed revision has moved on: whoever waits for it looks again. On a cache's thread.
  public func observed() {
    for lane in lanes.withLock({ $0 }) { lane.wakeWaiters() }
  }

  /// Lets go of lanes and caches, which lead back here: to be called once caches and transport have ended. Nothing is
  /// published after it.
  public func stop() {
    lanes.withLock { $0 = [] }
  }

  func start(lanes new: [WatchLane]) {
    lanes.withLock { $0 = new }
  }
}

/// A notice of one change of an answer, encoded but for the value, which few ask for, and the epoch, which is known for
/// certain only when it is sent. Immutable: any thread.
final class Notice: Sendable {
  let entity: ServedEntity
  let key: LookupKey
  /// Of entity and key: made once, for the queues of all slow subscribers.
  let keyHash: Int
  let revision: Revision
  let sequence: UInt64
  /// The `InvalidationNotice`, without `epoch` and `value`.
  let encoded: [UInt8]
  /// What the key answers now.
  let answer: Answer?

  init(_ invalidation: Invalidation, _ entity: ServedEntity) {
    self.entity = entity
    key = invalidation.key
    keyHash = WatchKey(entity: entity, key: key).hashValue
    revision = invalidation.revision
    sequence = invalidation.sequence
    answer = invalidation.answer
    isWithoutValue = false
    encoded = encodeNotice(
      kind: invalidation.kind == .upsert ? .upsert : .delete, entity, key: key,
      revision: invalidation.revision, itemID: invalidation.itemID, reason: invalidation.reason.description,
      committedAt: invalidation.committedAt,
      etag: invalidation.answer?.etagDigits, previousETag: invalidation.previousETag ?? "")
  }

  /// An UPSERT whose value has been let go of, because a later notice of the key has another.
  let isWithoutValue: Bool

  private init(withoutValue notice: Notice) {
    entity = notice.entity
    key = notice.key
    keyHash = notice.keyHash
    revision = notice.revision
    sequence = notice.sequence
    encoded = notice.encoded
    answer = nil
    isWithoutValue = true
  }

  func withoutValue() -> Notice {
    answer == nil ? self : Notice(withoutValue: self)
  }

  func isAboutSameKey(as other: Notice) -> Bool {
    keyHash == other.keyHash && entity == other.entity && key == other.key
  }
}
