public import Core

/// Counts the open connections of a server, over all its loops, and bounds them. Any thread.
public final class ConnectionQuota: Sendable {
  public let limit: Int
  private let open = Locked(0)

  public init(limit: Int) {
    self.limit = limit
  }

  /// How many are open.
  public var count: Int { open.withLock { $0 } }

  func take() -> Bool {
    open.withLock { count in
      guard count < limit else { return false }
      count += 1
      return true
    }
  }

  func giveBack() {
    let isEmpty = open.withLock { count in
      count -= 1
      return count == 0
    }
    if isEmpty { open.signal() }
  }

  /// Waits until none is open. False if the deadline came first.
  public func waitUntilEmpty(deadline: MonotonicTime) -> Bool {
    open.wait(until: deadline) { $0 == 0 ? true : nil } ?? false
  }
}
