internal import Core

/// What a connection may spend on frames that lead to nothing: resets, PINGs, SETTINGS, empty DATA, window updates.
///
/// Credits come back with time, and with what the client takes of replies: who gets much may send much. So the usual
/// window updates and PINGs of a busy connection are free, and a flood of them is not.
struct FloodGuard {
  /// For a call that ended with its trailers, or a DATA frame of some size.
  static let earnedByReply = 4
  /// For a stream that was reset because of what the client did to it.
  static let costOfReset = 10

  private let maximum: Int
  private let perSecond: Double
  private var credits: Int
  private var refilled: MonotonicTime

  init(maximum: Int, perSecond: Double, now: MonotonicTime) {
    self.maximum = maximum
    self.perSecond = perSecond
    credits = maximum
    refilled = now
  }

  /// Whether the connection has spent what it had.
  var isExhausted: Bool { credits < 0 }

  mutating func earn() {
    credits = min(maximum, credits + Self.earnedByReply)
  }

  mutating func spend(_ cost: Int) {
    credits -= cost
  }

  mutating func refill(_ now: MonotonicTime) {
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
