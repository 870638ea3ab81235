internal import Glibc

/// A moment of the clock that never goes back; only differences mean something.
public struct MonotonicTime: Sendable, Hashable, Comparable {
  /// Nanoseconds since an unknown moment.
  public var nanoseconds: UInt64

  public init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  /// The time of `CLOCK_MONOTONIC`.
  public static var now: MonotonicTime {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
  }

  public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  /// The moment `seconds` later; a negative number gives an earlier one, NaN the same. Stops at the ends of the clock.
  public func advanced(bySeconds seconds: Double) -> MonotonicTime {
    if seconds.isNaN { return self }
    let delta = UInt64(min(abs(seconds) * 1e9, 9e18))
    let (sum, overflow) =
      seconds < 0 ? nanoseconds.subtractingReportingOverflow(delta) : nanoseconds.addingReportingOverflow(delta)
    if overflow { return MonotonicTime(nanoseconds: seconds < 0 ? 0 : .max) }
    return MonotonicTime(nanoseconds: sum)
  }

  /// Seconds from `earlier` to here; 0 if `earlier` is later.
  public func seconds(since earlier: MonotonicTime) -> Double {
    self <= earlier ? 0 : Double(nanoseconds - earlier.nanoseconds) / 1e9
  }

  /// Milliseconds from `earlier` to here; 0 if `earlier` is later.
  public func milliseconds(since earlier: MonotonicTime) -> UInt64 {
    self <= earlier ? 0 : (nanoseconds - earlier.nanoseconds) / 1_000_000
  }
}

/// A moment of the calendar, in milliseconds since 1970-01-01T00:00:00Z, as BSON has it.
public struct WallTime: Sendable, Hashable, Comparable {
  public var milliseconds: Int64

  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  public static var now: WallTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }

  public static func < (left: WallTime, right: WallTime) -> Bool {
    left.milliseconds < right.milliseconds
  }
}

/// Where the time comes from: the machine's clocks, or a test's.
public protocol Clock: Sendable {
  var now: MonotonicTime { get }
  var wallNow: WallTime { get }
}

/// The machine's clocks.
public struct SystemClock: Clock {
  public init() {}
  public var now: MonotonicTime { .now }
  public var wallNow: WallTime { .now }
}

extension Duration {
  /// The duration in seconds, as nearly as a `Double` holds it.
  public var seconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) / 1e18
  }
}
