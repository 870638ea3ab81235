// SPDX-License-Identifier: Apache-2.0
/// Reads the value of a flag that is a number of seconds. The flags of both programs are read by this function, so that
/// no number that has no `Duration` gets past the command line.
///
/// - Parameters:
///   - text: The value: a decimal number.
///   - range: The permitted numbers of seconds, at most some years. NaN, infinity and a number such as `1e300` are in
///     no range.
///   - duration: Receives the duration.
/// - Returns: What is wrong with the value; nil if it was read.
package func readSeconds(_ text: String, _ range: ClosedRange<Double>, _ duration: inout Duration) -> String? {
  guard let number = Double(text), range.contains(number) else {
    return "\(text) is not a number of seconds from \(shortest(range.lowerBound)) to \(shortest(range.upperBound))"
  }
  duration = Duration(clampingSeconds: number)
  return nil
}

/// `3600` and not `3600.0`.
private func shortest(_ number: Double) -> String {
  Int(exactly: number).map(String.init) ?? "\(number)"
}
