// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// A rate limit for frames of a connection that have no effect: cancelled calls, PINGs, SETTINGS, empty DATA frames,
/// window updates.
///
/// Credits are regained over time, and by the replies that the client reads. Therefore the usual window updates and
/// PINGs of a busy connection are free, and a flood of them is not.
public struct FloodGuard {
  /// Number of credits for a call that ended with its trailers, or for a DATA frame of some size.
  public static let earnedByReply = 4
  /// The cost of a stream that was reset because of the client.
  public static let costOfReset = 10

  /// The cost of a cancelled call, or of a PING.
  public static let costOfCancel = 2
  /// The cost of a frame without an effect.
  public static let costOfEmptyFrame = 1

  /// Returns the cost of a cancelled call, with the work that it caused: opening a watch can mean to copy thousands of
  /// keys.
  ///
  /// - Parameter work: The CPU time that the call's handler took to open the call, in nanoseconds.
  /// - Returns: The cost in credits.
  public static func cost(ofCancelledWork work: UInt64) -> Int {
    costOfCancel + Int(min(work / nanosecondsPerCredit, 10_000))
  }

  /// The CPU time that costs one credit. At the usual 200 credits per second, cancelled work takes at most 1 % of a
  /// core.
  private static let nanosecondsPerCredit: UInt64 = 50_000

  private let maximum: Int
  private let perSecond: Double
  private var credits: Int
  private var refilled: MonotonicTime

  /// Creates a guard with the maximum number of credits.
  ///
  /// - Parameters:
  ///   - maximum: The maximum number of credits.
  ///   - perSecond: The number of credits that are regained in each second.
  ///   - now: The current time.
  public init(maximum: Int, perSecond: Double, now: MonotonicTime) {
    self.maximum = maximum
    self.perSecond = perSecond
    credits = maximum
    refilled = now
  }

  /// Whether the connection has spent more credits than it had.
  public var isExhausted: Bool { credits < 0 }

  /// Adds the credits for a reply.
  public mutating func earn() {
    credits = min(maximum, credits + Self.earnedByReply)
  }

  /// Subtracts credits.
  ///
  /// - Parameter cost: The number of credits.
  public mutating func spend(_ cost: Int) {
    credits -= cost
  }

  /// Adds the credits for the time since the last call.
  ///
  /// - Parameter now: The current time.
  public mutating func refill(_ now: MonotonicTime) {
    guard credits < maximum else {
      refilled = now
      return
    }
    let earned = Int(now.duration(since: refilled).seconds * perSecond)
    guard earned > 0 else { return }
    credits = min(maximum, credits + earned)
    // The time is not set to `now`, so that a fraction of a credit is not lost.
    refilled = refilled.advanced(by: .seconds(Double(earned) / perSecond))
  }
}
