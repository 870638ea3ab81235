// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// A clock that advances only when a test advances it. Any thread may use it.
public final class ManualClock: TimeSource {
  private let times: Locked<(now: MonotonicTime, wall: WallTime)>

  /// Creates a clock.
  ///
  /// - Parameters:
  ///   - now: the monotonic time.
  ///   - wallNow: the calendar time.
  public init(
    now: MonotonicTime = MonotonicTime(nanoseconds: 1_000_000_000_000),
    wallNow: WallTime = WallTime(milliseconds: 1_800_000_000_000)
  ) {
    times = Locked((now, wallNow))
  }

  /// The monotonic time.
  public var now: MonotonicTime { times.withLock { $0.now } }
  /// The calendar time.
  public var wallNow: WallTime { times.withLock { $0.wall } }

  /// Advances both times.
  ///
  /// - Parameter duration: the time, in whole milliseconds for the calendar time.
  public func advance(by duration: Duration) {
    times.withLock {
      $0.now = $0.now.advanced(by: duration)
      $0.wall.milliseconds += duration.milliseconds
    }
  }

  /// Sets the calendar time forward or back. The monotonic time does not change.
  ///
  /// - Parameter wall: the new calendar time.
  public func setWall(_ wall: WallTime) {
    times.withLock { $0.wall = wall }
  }
}
