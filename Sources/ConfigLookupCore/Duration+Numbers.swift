// SPDX-License-Identifier: Apache-2.0
/// Conversions between `Duration` and numbers, for the edges of the program: flags, metrics, log fields, messages, and
/// calls of C functions. None of them traps.
extension Duration {
  /// The duration in seconds, rounded to a `Double`.
  package var seconds: Double { Double(attoseconds) / 1e18 }

  /// The whole milliseconds of the duration, clamped to the range of `Int64`.
  package var milliseconds: Int64 { Int64(clamping: attoseconds / 1_000_000_000_000_000) }

  /// The whole nanoseconds of the duration, clamped to the range of `Int64`, which is 292 years.
  package var nanoseconds: Int64 { Int64(clamping: attoseconds / 1_000_000_000) }

  /// Creates a duration from a number that comes from outside. `Duration.seconds(_:)` traps where a number has no
  /// duration.
  ///
  /// - Parameter seconds: the number of seconds. It is clamped to the range that ``nanoseconds`` can represent. NaN
  ///   results in zero.
  package init(clampingSeconds seconds: Double) {
    self = seconds.isNaN ? .zero : .seconds(min(max(seconds, -9_223_372_036), 9_223_372_036))
  }
}
