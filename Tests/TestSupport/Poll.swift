// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
internal import Foundation

/// Waits until a condition holds. Tests wait in no other way.
///
/// - Parameters:
///   - what: a description of the condition, for the error message.
///   - timeout: the longest wait.
///   - holds: the condition, which is evaluated every 10 ms.
/// - Throws: ``TestFailure`` if the time passes first, or the condition's error.
public func poll(_ what: String, timeout: Duration = .seconds(120), until holds: () throws -> Bool) throws {
  let deadline = MonotonicTime.now.advanced(by: timeout)
  while try !holds() {
    guard MonotonicTime.now < deadline else { throw TestFailure("not within \(timeout.seconds) s: \(what)") }
    Thread.sleep(forTimeInterval: 0.01)
  }
}

/// Returns a deadline that is reached only in case of a failure.
///
/// - Parameter duration: the time from now.
/// - Returns: the deadline.
public func soon(_ duration: Duration = .seconds(120)) -> MonotonicTime { .now.advanced(by: duration) }
