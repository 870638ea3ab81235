// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import ConfigLookupCore
internal import ConfigLookupRPC

/// Returns memory to the system that was held for clients and has been released. By itself malloc keeps nearly all of
/// the memory that was allocated in small blocks.
///
/// A thread checks the count of the budget. When the count has fallen far below its maximum and is steady, the thread
/// calls `malloc_trim`, which blocks a thread that allocates while the arena of that thread is trimmed: some
/// milliseconds for 100 MiB.
final class MemoryReturn: Sendable {
  /// Decides when memory should be returned.
  struct Rule: Sendable {
    /// Number of bytes by which the count must have fallen.
    var threshold = 16 * 1024 * 1024
    /// A count that has changed by fewer bytes since the last check is steady.
    var steadyBytes = 1024 * 1024
    private var highest = 0
    private var last = 0

    /// Decides whether memory should be returned now.
    ///
    /// - Parameter bytes: The current count.
    /// - Returns: Whether memory should be returned.
    mutating func isDue(_ bytes: Int) -> Bool {
      defer { last = bytes }
      highest = max(highest, bytes)
      guard highest - bytes >= threshold, abs(bytes - last) < steadyBytes else { return false }
      highest = bytes
      return true
    }
  }

  private static let interval = Duration.seconds(1)

  private let isStopped = Locked(false)
  private let thread = Locked<OSThread?>(nil)

  /// Starts the checks. ``stop()`` must be called later.
  init(_ buffers: BufferBudget) {
    let isStopped = isStopped
    let thread = OSThread(name: "memory", urgency: .background) {
      var rule = Rule()
      while isStopped.wait(until: .now.advanced(by: Self.interval), { $0 ? true : nil }) == nil {
        if rule.isDue(buffers.byteCount) { malloc_trim(0) }
      }
    }
    self.thread.withLock { $0 = thread }
  }

  /// Waits for the thread to end. To be called once.
  func stop() {
    isStopped.withLock { $0 = true }
    isStopped.signal()
    let thread = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    thread?.join()
  }
}
