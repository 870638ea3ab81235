internal import CLibevent
internal import Core
internal import RPC

/// Returns memory to the system that callers made the server hold and have let go of: malloc by itself keeps nearly all
/// of what was taken in small pieces.
///
/// A thread of its own looks at the budget's count. Once that has fallen far below its highest, and is steady, it calls
/// `malloc_trim`, which holds up a thread that allocates for as long as its arena takes: some milliseconds for 100 MiB.
final class MemoryReturn: Sendable {
  /// Decides when it is worth it.
  struct Rule: Sendable {
    /// Bytes by which the count must have fallen.
    var threshold = 16 * 1024 * 1024
    /// A count that has changed by less than this since it was last looked at is steady.
    var steadyBytes = 1024 * 1024
    private var highest = 0
    private var last = 0

    /// - Parameter bytes: the count as of now.
    /// - Returns: whether memory should be returned now.
    mutating func isDue(_ bytes: Int) -> Bool {
      defer { last = bytes }
      highest = max(highest, bytes)
      guard highest - bytes >= threshold, abs(bytes - last) < steadyBytes else { return false }
      highest = bytes
      return true
    }
  }

  private static let intervalSeconds = 1.0

  private let isStopped = Locked(false)
  private let thread = Locked<OSThread?>(nil)

  /// Begins to look. To be followed by ``stop()``.
  init(_ buffers: BufferBudget) {
    let isStopped = isStopped
    let thread = OSThread(name: "memory", urgency: .background) {
      var rule = Rule()
      while isStopped.wait(until: .now.advanced(bySeconds: Self.intervalSeconds), { $0 ? true : nil }) == nil {
        if rule.isDue(buffers.byteCount) { malloc_trim(0) }
      }
    }
    self.thread.withLock { $0 = thread }
  }

  /// Waits for the thread to end. Once.
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
