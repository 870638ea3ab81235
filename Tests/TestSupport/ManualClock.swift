public import Core

/// A clock that stands still until a test moves it.
public final class ManualClock: Clock {
  private let times: Locked<(now: MonotonicTime, wall: WallTime)>

  public init(
    now: MonotonicTime = MonotonicTime(nanoseconds: 1_000_000_000_000),
    wallNow: WallTime = WallTime(milliseconds: 1_800_000_000_000)
  ) {
    times = Locked((now, wallNow))
  }

  public var now: MonotonicTime { times.withLock { $0.now } }
  public var wallNow: WallTime { times.withLock { $0.wall } }

  /// Both clocks go on.
  public func advance(seconds: Double) {
    times.withLock {
      $0.now = $0.now.advanced(bySeconds: seconds)
      $0.wall.milliseconds += Int64(seconds * 1000)
    }
  }

  /// Somebody sets the calendar's clock, forth or back; the other does not notice.
  public func setWall(_ wall: WallTime) {
    times.withLock { $0.wall = wall }
  }
}
