// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// The counters of one worker's watches. Written on the worker's thread, read on any thread.
final class WatchCounters: Sendable {
  private let queued = Atomic<Int>(0)
  private let notices = Atomic<UInt64>(0)
  private let resyncs = Atomic<UInt64>(0)

  // Loads and stores suffice, without atomic additions, because there is only one writer.

  /// Changes the number of keys in the coalescing queues of slow subscribers.
  func addQueuedKeys(_ change: Int) {
    queued.store(queued.load(ordering: .relaxed) + change, ordering: .relaxed)
  }

  func countNotice() {
    notices.store(notices.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }

  func countResync() {
    resyncs.store(resyncs.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }

  var queuedKeyCount: Int { queued.load(ordering: .relaxed) }
  var noticeCount: UInt64 { notices.load(ordering: .relaxed) }
  var resyncCount: UInt64 { resyncs.load(ordering: .relaxed) }
}
