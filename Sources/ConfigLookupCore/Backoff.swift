// SPDX-License-Identifier: Apache-2.0
/// Computes the waits between retries: none before the first try, then doubling up to a limit, with jitter.
///
/// The jitter is random between half a step and a whole step, so that clients do not retry at the same time. See
/// "Exponential Backoff And Jitter" (AWS Architecture Blog).
public struct Backoff: Sendable {
  /// The step before the second try.
  public let initial: Duration
  /// The longest step.
  public let maximum: Duration
  private var tries = 0

  /// Creates a backoff.
  ///
  /// - Parameters:
  ///   - initial: the step before the second try.
  ///   - maximum: the longest step.
  public init(initial: Duration = .milliseconds(100), maximum: Duration = .seconds(10)) {
    self.initial = initial
    self.maximum = maximum
  }

  /// Returns the wait before the next try, and counts the try.
  ///
  /// - Parameter random: a random number in 0..<1.
  /// - Returns: the wait; zero for the first try.
  public mutating func next(random: Double = .random(in: 0..<1)) -> Duration {
    defer { tries += 1 }
    if tries == 0 { return .zero }
    var step = min(initial, maximum)
    for _ in 1..<min(tries, 40) where step < maximum { step = step > maximum / 2 ? maximum : step * 2 }
    // Never less than half a step: repeated waits of nearly zero would be a busy loop.
    return step * (0.5 + random / 2)
  }

  /// Restarts the sequence after a success: the next try is the first one again.
  public mutating func reset() {
    tries = 0
  }
}
