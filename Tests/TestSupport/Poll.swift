public import Core
internal import Foundation

/// Waits until a condition holds: the one place where a test waits. `what` names it when it does not.
public func poll(_ what: String, timeoutSeconds: Double = 120, until holds: () throws -> Bool) throws {
  let deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
  while try !holds() {
    guard MonotonicTime.now < deadline else { throw TestFailure("not within \(timeoutSeconds) s: \(what)") }
    Thread.sleep(forTimeInterval: 0.01)
  }
}

/// Far enough that only a failure reaches it.
public func soon(_ seconds: Double = 120) -> MonotonicTime { .now.advanced(bySeconds: seconds) }
