public import Core

/// What a connection may spend on frames that lead to nothing: cancelled calls, PINGs, SETTINGS, empty DATA, window
/// updates.
///
/// Credits come back with time, and with what the client takes of replies: who gets much may send much. So the usual
/// window updates and PINGs of a busy connection are free, and a flood of them is not.
public struct FloodGuard {
  /// For a call that ended with its trailers, or a DATA frame of some size.
  public static let earnedByReply = 4
  /// For a stream that was reset because of what the client did to it.
  public static let costOfReset = 10

  /// For a call that was cancelled, or a PING.
  public static let costOfCancel = 2
  /// For a frame that does nothing.
  public static let costOfEmptyFrame = 1

  /// For the work that a call was which its client cancelled: the opening of a watch can be thousands of keys to copy.
  ///
  /// - Parameter work: the processor time that the call's handler took to begin, in nanoseconds.
  public static func cost(ofCancelledWork work: UInt64) -> Int {
    costOfCancel + Int(min(work / nanosecondsPerCredit, 10_000))
  }

  /// With the usual 200 credits a second, what is thrown away costs at most 1 % of a core.
  private static let nanosecondsPerCredit: UInt64 = 50_000

  private let maximum: Int
  private let perSecond: Double
  private var credits: Int
  private var refilled: MonotonicTime

  public init(maximum: Int, perSecond: Double, now: MonotonicTime) {
    self.maximum = maximum
    self.perSecond = perSecond
    credits = maximum
    refilled = now
  }

  /// Whether the connection has spent what it had.
  public var isExhausted: Bool { credits < 0 }

  public mutating func earn() {
    credits = min(maximum, credits + Self.earnedByReply)
  }

  public mutating func spend(_ cost: Int) {
    credits -= cost
  }

  public mutating func refill(_ now: MonotonicTime) {
    guard credits < maximum else {
      refilled = now
      return
    }
    let earned = Int(now.seconds(since: refilled) * perSecond)
    guard earned > 0 else { return }
    credits = min(maximum, credits + earned)
    // Not `now`: what makes no whole credit yet is not lost.
    refilled = refilled.advanced(bySeconds: Double(earned) / perSecond)
  }
}
