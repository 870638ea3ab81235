public import ChangeStreamCache
public import Core

/// Passes notices from the caches to the workers: encodes each one once, keeps the last ones for replays, and posts
/// them to every worker's ``WatchShard``.
///
/// Made before caches and service, because both need it. Any thread.
public final class InvalidationHub: Sendable {
  /// Number of notices that are created and posted in one step. A watch that starts waits for one step at most.
  private static let noticesPerPart = 128

  private let shards = Locked<[WatchShard]>([])
  /// By ``ServedEntity``.
  private let buffers: [Locked<ReplayBuffer>]
  /// By ``ServedEntity``.
  private let counters = ServedEntity.allCases.map { _ in Locked(InvalidationCounters()) }

  /// What ended watches held; to be released on a cache's thread.
  private let released = Locked<[AnswerList]>([])

  /// Keeps the last `replayLimit` notices of each cache for watches that start in the past.
  public init(replayLimit: Int = 10_000) {
    buffers = ServedEntity.allCases.map { _ in Locked(ReplayBuffer(limit: replayLimit)) }
  }

  /// Takes a cache's invalidations, on the cache's thread, in order.
  public func publish(_ entity: ServedEntity, _ invalidations: [Invalidation]) {
    guard !invalidations.isEmpty else { return }
    counters[entity.rawValue].withLock { $0.count(invalidations) }
    let shards = shards.withLock { $0 }
    // There is no other writer.
    var number = buffers[entity.rawValue].withLock { $0.endNumber }
    var rest = invalidations[...]
    while !rest.isEmpty {
      var notices: [Notice] = []
      for invalidation in rest.prefix(Self.noticesPerPart) {
        notices.append(Notice(invalidation, entity, number: number))
        number += 1
      }
      rest = rest.dropFirst(Self.noticesPerPart)
      // First the buffer, then the shards: a watch that replays the buffer leaves out what its shard brings again.
      buffers[entity.rawValue].withLock { $0.append(notices) }
      let events = notices.map { WatchEvent.notice($0) }
      for shard in shards { shard.post(events) }
    }
  }

  /// Every change of the cache after `revision` will be published; before it some may have gone unseen.
  public func beginHistory(_ entity: ServedEntity, after revision: Revision) {
    buffers[entity.rawValue].withLock { $0.begin(after: revision) }
    for shard in shards.withLock({ $0 }) { shard.post([.gap(entity)]) }
  }

  /// What changed before history began, from `revision` on.
  public func extendHistory(_ entity: ServedEntity, from revision: Revision, _ invalidations: [Invalidation]) {
    let notices = invalidations.map { Notice($0, entity, number: 0) }
    buffers[entity.rawValue].withLock { $0.prepend(notices, from: revision) }
  }

  /// Where a replay of what changed at `revision` or after it begins, nil where that is not known exactly; and where
  /// the notices end that are in the buffer now.
  ///
  /// - Parameter publication: the last publication that the replay includes; nil to include all. The notices of earlier
  ///   publications are in the buffer once it is visible.
  func replayRange(
    _ entity: ServedEntity, since revision: Revision, through publication: UInt64?, isNewcomer: Bool, withNotices: Bool
  ) -> (start: Int?, end: Int, notices: [Notice]?) {
    buffers[entity.rawValue].withLock { buffer in
      let end = publication.map { buffer.endNumber(through: $0) } ?? buffer.endNumber
      let start = buffer.start(since: revision, isNewcomer: isNewcomer).map { min($0, end) }
      return (start, end, withNotices ? start.flatMap { buffer.notices(from: $0, limit: end - $0) } : nil)
    }
  }

  /// At most `limit` notices of the buffer from a number on; nil once the first of them has been forgotten.
  func replayed(_ entity: ServedEntity, from number: Int, limit: Int) -> [Notice]? {
    buffers[entity.rawValue].withLock { $0.notices(from: number, limit: limit) }
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

  /// An observed revision has moved on: calls that wait for it are asked again. On a cache's thread.
  public func observed() {
    var answers: [AnswerList] = []
    released.withLock { swap(&$0, &answers) }
    for shard in shards.withLock({ $0 }) { shard.wakeWaiters() }
  }

  /// Takes answers whose release may take long: a cache's thread releases them, and no event loop waits for that.
  func release(_ answers: [AnswerList]) {
    guard !answers.isEmpty else { return }
    released.withLock { $0 += answers }
  }

  /// Releases shards and caches, which lead back here: to be called once caches and transport have ended. Nothing is
  /// published after it.
  public func stop() {
    shards.withLock { $0 = [] }
    released.withLock { $0 = [] }
  }

  func start(shards new: [WatchShard]) {
    shards.withLock { $0 = new }
  }
}
