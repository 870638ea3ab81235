// SPDX-License-Identifier: Apache-2.0
/// Computes the waits between retries: none before the first try, then doubling up to a limit, with jitter.
///
/// The jitter is random between half a step and a whole step, so that clients do not retry at the same time. See
/// "Exponential Backoff And Jitter" (AWS Architecture Blog).
public struct Backoff: Sendable {
  /// The step before the second try, in seconds.
  public let firstSeconds: Double
  /// The longest step, in seconds.
  public let limitSeconds: Double
  private var tries = 0

  /// Creates a backoff.
  ///
  /// - Parameters:
  ///   - firstSeconds: the step before the second try, in seconds.
  ///   - limitSeconds: the longest step, in seconds.
  public init(firstSeconds: Double = 0.1, limitSeconds: Double = 10) {
    self.firstSeconds = firstSeconds
    self.limitSeconds = limitSeconds
  }

  /// Returns the wait before the next try, and counts the try.
  ///
  /// - Parameter random: a random number in 0..<1.
  /// - Returns: the wait in seconds; 0 for the first try.
  public mutating func next(random: Double = .random(in: 0..<1)) -> Double {
    defer { tries += 1 }
    if tries == 0 { return 0 }
    var step = firstSeconds
    for _ in 1..<min(tries, 40) where step < limitSeconds { step *= 2 }
    // Never less than half a step: repeated waits of nearly zero would be a busy loop.
    return min(step, limitSeconds) * (0.5 + random / 2)
  }

  /// Restarts the sequence after a success: the next try is the first one again.
  public mutating func reset() {
    tries = 0
  }
}
