// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Whether a shard wants events. Written on its worker's thread, read on any thread.
final class WatchAttention: Sendable {
  private let sessions = Atomic<Int>(0)
  private let waitingKeys = Atomic<Int>(0)

  var sessionCount: Int { sessions.load(ordering: .relaxed) }

  /// Whether there is a watch, or a call that waits for a key.
  ///
  /// A watch that begins while this is read finds an event that is not posted in the replay buffer, which it reads
  /// afterwards.
  var isWanted: Bool {
    sessions.load(ordering: .sequentiallyConsistent) > 0 || waitingKeys.load(ordering: .sequentiallyConsistent) > 0
  }

  func setSessionCount(_ count: Int) { sessions.store(count, ordering: .sequentiallyConsistent) }

  func setWaitingKeyCount(_ count: Int) { waitingKeys.store(count, ordering: .sequentiallyConsistent) }
}
