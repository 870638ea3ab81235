// SPDX-License-Identifier: Apache-2.0
/// Conversions between `Duration` and numbers, for the edges of the program: flags, metrics, log fields, messages, and
/// calls of C functions. None of them traps. The longest duration that they represent is 292 years.
extension Duration {
  /// The number of seconds, of whole nanoseconds, rounded to a `Double`. (`Double.init` takes a microsecond and more to
  /// convert the 128 bits of a duration.)
  public var seconds: Double { Double(Int64(clamping: (attoseconds / 500_000_000 + attoseconds.signum()) / 2)) / 1e9 }

  /// The number of whole milliseconds.
  package var milliseconds: Int64 { Int64(clamping: attoseconds / 1_000_000_000_000_000) }

  /// The number of whole nanoseconds.
  package var nanoseconds: Int64 { Int64(clamping: attoseconds / 1_000_000_000) }

  /// Creates a duration of whole nanoseconds from a number that comes from outside.
  ///
  /// `Duration.seconds(_:)` traps where a number has no duration, and its result can be some attoseconds too short:
  /// 0.57 s would be less than 570 ms.
  ///
  /// - Parameter seconds: the number of seconds. It is clamped to 292 years. NaN results in zero.
  package init(clampingSeconds seconds: Double) {
    self = seconds.isNaN ? .zero : .nanoseconds(Int64((min(max(seconds, -9.2e9), 9.2e9) * 1e9).rounded()))
  }
}
