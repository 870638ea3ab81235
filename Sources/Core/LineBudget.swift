/// Bounds the log lines about what strangers can cause: a few a minute for each reason, whoever floods us. Any thread.
public final class LineBudget: Sendable {
  private struct Minute: Sendable {
    var start: MonotonicTime
    var lines = 0
    var suppressed: Int64 = 0
  }

  private let lines: Int
  private let seconds: Double
  private let minutes = Locked<[String: Minute]>([:])

  /// So many lines for each reason in so many seconds: enough to see what is wrong.
  public init(lines: Int = 5, seconds: Double = 60) {
    self.lines = lines
    self.seconds = seconds
  }

  /// Whether to write a line now: how many were left out since the last one, or nil. Reasons are few and ours.
  public func take(_ reason: String, now: MonotonicTime = .now) -> Int64? {
    minutes.withLock { minutes in
      var minute = minutes[reason] ?? Minute(start: now)
      defer { minutes[reason] = minute }
      if now.seconds(since: minute.start) >= seconds {
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
