// SPDX-License-Identifier: Apache-2.0
/// Limits the number of log lines that untrusted clients can cause, separately for each reason. Any thread may use it.
public final class LineBudget: Sendable {
  private struct Minute: Sendable {
    var start: MonotonicTime
    var lines = 0
    var suppressed: Int64 = 0
  }

  private let lines: Int
  private let period: Duration
  private let minutes = Locked<[String: Minute]>([:])

  /// Creates a budget. The default suffices to recognize a problem.
  ///
  /// - Parameters:
  ///   - lines: the maximum number of lines for each reason in one period.
  ///   - period: the length of the period.
  public init(lines: Int = 5, period: Duration = .seconds(60)) {
    self.lines = lines
    self.period = period
  }

  /// Returns whether a line may be written now, and counts it.
  ///
  /// - Parameters:
  ///   - reason: the reason. The set of reasons must be small, and clients must not be able to add to it.
  ///   - now: the current time.
  /// - Returns: the number of lines that were suppressed since the last written one; nil if this line is suppressed.
  public func take(_ reason: String, now: MonotonicTime = .now) -> Int64? {
    minutes.withLock { minutes in
      var minute = minutes[reason] ?? Minute(start: now)
      defer { minutes[reason] = minute }
      if now.duration(since: minute.start) >= period {
        minute = Minute(start: now, suppressed: minute.suppressed)
      }
      guard minute.lines < lines else {
        minute.suppressed += 1
        return nil
      }
      minute.lines += 1
      defer { minute.suppressed = 0 }
      return minute.suppressed
    }
  }
}
