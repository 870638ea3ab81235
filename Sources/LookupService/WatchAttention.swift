internal import Synchronization

/// Whether a shard wants events at all. Written on its worker's thread, read on any.
final class WatchAttention: Sendable {
  private let sessions = Atomic<Int>(0)
  private let waitingKeys = Atomic<Int>(0)

  var sessionCount: Int { sessions.load(ordering: .relaxed) }

  /// Whether there is a watch, or a call that waits for a key.
  ///
  /// A watch that begins while this is read finds what is not posted in the replay buffer: it reads that afterwards.
  var isWanted: Bool {
    sessions.load(ordering: .sequentiallyConsistent) > 0 || waitingKeys.load(ordering: .sequentiallyConsistent) > 0
  }

  func setSessionCount(_ count: Int) { sessions.store(count, ordering: .sequentiallyConsistent) }

  func setWaitingKeyCount(_ count: Int) { waitingKeys.store(count, ordering: .sequentiallyConsistent) }
}
