// SPDX-License-Identifier: Apache-2.0
public import ChangeStreamCache
public import ConfigLookupCore

/// Passes notices from the caches to the workers: encodes each notice once, keeps the last ones for replays, and posts
/// them to the ``WatchShard`` of every worker.
///
/// Created before the caches and the service, because both need it. Any thread.
public final class InvalidationHub: Sendable {
  /// The number of notices that are created and posted in one step. A watch that starts waits for one step at most.
  private static let noticesPerPart = 128

  private let shards = Locked<[WatchShard]>([])
  /// Indexed by ``ServedEntity``.
  private let buffers: [Locked<ReplayBuffer>]
  /// Indexed by ``ServedEntity``.
  private let counters = ServedEntity.allCases.map { _ in Locked(InvalidationCounters()) }

  /// Answers that ended watches held. A cache's thread releases them.
  private let released = Locked<[AnswerList]>([])

  /// Makes a hub without shards.
  ///
  /// - Parameter replayLimit: the number of notices of each cache that are kept for watches that start in the past.
  public init(replayLimit: Int = 10_000) {
    buffers = ServedEntity.allCases.map { _ in Locked(ReplayBuffer(limit: replayLimit)) }
  }

  /// Publishes invalidations of a cache, in order. Call it on the cache's thread only.
  ///
  /// - Parameters:
  ///   - entity: the cache.
  ///   - invalidations: the changes of answers, in the order in which the cache published them.
  public func publish(_ entity: ServedEntity, _ invalidations: [Invalidation]) {
    guard !invalidations.isEmpty else { return }
    counters[entity.rawValue].withLock { $0.count(invalidations) }
    let shards = shards.withLock { $0 }
    // The number stays valid: there is no other writer.
    var number = buffers[entity.rawValue].withLock { $0.endNumber }
    var rest = invalidations[...]
    while !rest.isEmpty {
      var notices: [EncodedNotice] = []
      for invalidation in rest.prefix(Self.noticesPerPart) {
        notices.append(EncodedNotice(invalidation, entity, number: number))
        number += 1
      }
      rest = rest.dropFirst(Self.noticesPerPart)
      // The buffer comes before the shards: a watch that replays the buffer skips what its shard delivers once more.
      buffers[entity.rawValue].withLock { $0.append(notices) }
      let events = notices.map { WatchEvent.notice($0) }
      for shard in shards { shard.post(events) }
    }
  }

  /// Begins the replay history of a cache anew. Earlier notices are dropped, because changes between them may have been
  /// missed.
  ///
  /// - Parameters:
  ///   - entity: the cache.
  ///   - revision: every change after this revision will be published.
  public func beginHistory(_ entity: ServedEntity, after revision: Revision) {
    buffers[entity.rawValue].withLock { $0.begin(after: revision) }
    for shard in shards.withLock({ $0 }) { shard.post([.gap(entity)]) }
  }

  /// Adds changes before the begin of the replay history, as they were read from the database after a start.
  ///
  /// - Parameters:
  ///   - entity: the cache.
  ///   - revision: the revision from which on `invalidations` are complete.
  ///   - invalidations: the changes, in order.
  public func extendHistory(_ entity: ServedEntity, from revision: Revision, _ invalidations: [Invalidation]) {
    let notices = invalidations.map { EncodedNotice($0, entity, number: 0) }
    buffers[entity.rawValue].withLock { $0.prepend(notices, from: revision) }
  }

  /// Finds the notices to replay of the changes at `revision` or later.
  ///
  /// - Parameter publication: the last publication that the replay includes; nil to include all. The notices of earlier
  ///   publications are in the buffer once it is visible.
  /// - Returns: the number of the first notice, nil if an exact replay is impossible; the number after the last one;
  ///   and, if `withNotices` is set, the notices.
  func replayRange(
    _ entity: ServedEntity, since revision: Revision, through publication: UInt64?, isNewcomer: Bool, withNotices: Bool
  ) -> (start: Int?, end: Int, notices: [EncodedNotice]?) {
    buffers[entity.rawValue].withLock { buffer in
      let end = publication.map { buffer.endNumber(through: $0) } ?? buffer.endNumber
      let start = buffer.start(since: revision, isNewcomer: isNewcomer).map { min($0, end) }
      return (start, end, withNotices ? start.flatMap { buffer.notices(from: $0, limit: end - $0) } : nil)
    }
  }

  /// Returns at most `limit` notices of the buffer from a number on; nil if the first of them has been dropped.
  func replayed(_ entity: ServedEntity, from number: Int, limit: Int) -> [EncodedNotice]? {
    buffers[entity.rawValue].withLock { $0.notices(from: number, limit: limit) }
  }

  /// The counters of a cache's notices and the state of its replay buffer.
  func figures(_ entity: ServedEntity) -> CacheFigures {
    var figures = CacheFigures()
    figures.invalidations = counters[entity.rawValue].withLock { $0.counts }
      .map { CacheFigures.Invalidations(reason: $0.key.reason, itemID: $0.key.itemID, count: $0.value) }
      .sorted { ($0.reason, $0.itemID) < ($1.reason, $1.itemID) }
    (figures.replayableNotices, figures.replayFloor) = buffers[entity.rawValue].withLock { ($0.count, $0.floor) }
    return figures
  }

  /// Wakes the calls that wait for an observed revision, after it has advanced. Call it on a cache's thread.
  public func observed() {
    var answers: [AnswerList] = []
    released.withLock { swap(&$0, &answers) }
    for shard in shards.withLock({ $0 }) { shard.wakeWaiters() }
  }

  /// Takes answers whose release may take long, so that a cache's thread releases them instead of an event loop.
  func release(_ answers: [AnswerList]) {
    guard !answers.isEmpty else { return }
    released.withLock { $0 += answers }
  }

  /// Releases the shards and, through them, the caches, which would otherwise form a reference cycle with the hub. Call
  /// it after the caches and the transports have ended; nothing may be published after it.
  public func stop() {
    shards.withLock { $0 = [] }
    released.withLock { $0 = [] }
  }

  func start(shards new: [WatchShard]) {
    shards.withLock { $0 = new }
  }
}
