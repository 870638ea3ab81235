// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// A time of the monotonic clock, which never goes back. Only differences between two times are meaningful.
public struct MonotonicTime: Sendable, Hashable, Comparable {
  /// The number of nanoseconds since an unspecified time.
  public var nanoseconds: UInt64

  /// Creates a time.
  ///
  /// - Parameter nanoseconds: the number of nanoseconds since the clock's unspecified start.
  public init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  /// The current time of `CLOCK_MONOTONIC`.
  public static var now: MonotonicTime {
    MonotonicTime(nanoseconds: configlookup_nanoseconds(CLOCK_MONOTONIC))
  }

  /// Returns whether `left` is earlier.
  ///
  /// - Parameters:
  ///   - left: one time.
  ///   - right: the other one.
  /// - Returns: true if `left` is earlier than `right`.
  public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  /// Returns the time that is a duration later. The result is clamped to the range of the clock.
  ///
  /// - Parameter duration: the duration. A negative one results in an earlier time.
  /// - Returns: the time.
  public func advanced(by duration: Duration) -> MonotonicTime {
    let delta = duration.nanoseconds
    let (sum, overflow) =
      delta < 0
      ? nanoseconds.subtractingReportingOverflow(delta.magnitude)
      : nanoseconds.addingReportingOverflow(delta.magnitude)
    return MonotonicTime(nanoseconds: overflow ? (delta < 0 ? 0 : .max) : sum)
  }

  /// Returns the duration between an earlier time and this one.
  ///
  /// - Parameter earlier: the earlier time.
  /// - Returns: the duration; zero if `earlier` is later.
  public func duration(since earlier: MonotonicTime) -> Duration {
    self <= earlier ? .zero : .nanoseconds(nanoseconds - earlier.nanoseconds)
  }

  /// Returns the number of whole milliseconds between an earlier time and this one.
  ///
  /// - Parameter earlier: the earlier time.
  /// - Returns: the milliseconds; 0 if `earlier` is later.
  public func milliseconds(since earlier: MonotonicTime) -> UInt64 {
    self <= earlier ? 0 : (nanoseconds - earlier.nanoseconds) / 1_000_000
  }
}

/// A calendar time with BSON's resolution.
public struct WallTime: Sendable, Hashable, Comparable {
  /// The number of milliseconds since 1970-01-01T00:00:00Z.
  public var milliseconds: Int64

  /// Creates a time.
  ///
  /// - Parameter milliseconds: the number of milliseconds since 1970-01-01T00:00:00Z.
  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  /// The current time of `CLOCK_REALTIME`.
  public static var now: WallTime {
    WallTime(milliseconds: Int64(configlookup_nanoseconds(CLOCK_REALTIME) / 1_000_000))
  }

  /// Returns whether `left` is earlier.
  ///
  /// - Parameters:
  ///   - left: one time.
  ///   - right: the other one.
  /// - Returns: true if `left` is earlier than `right`.
  public static func < (left: WallTime, right: WallTime) -> Bool {
    left.milliseconds < right.milliseconds
  }
}

/// A source of time: the machine's clocks, or those of a test.
public protocol TimeSource: Sendable {
  /// The current monotonic time.
  var now: MonotonicTime { get }
  /// The current calendar time.
  var wallNow: WallTime { get }
}

/// The machine's clocks.
public struct SystemClock: TimeSource {
  /// Creates the clock.
  public init() {}
  /// The current time of `CLOCK_MONOTONIC`.
  public var now: MonotonicTime { .now }
  /// The current time of `CLOCK_REALTIME`.
  public var wallNow: WallTime { .now }
}
