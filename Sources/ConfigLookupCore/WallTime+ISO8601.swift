// SPDX-License-Identifier: Apache-2.0
internal import Glibc

extension WallTime {
  /// The time in UTC in ISO 8601 with milliseconds, e.g. `2026-01-09T10:20:30.123Z`.
  public var iso8601: String {
    // Rounded down, before 1970, too: milliseconds count forward.
    var (seconds, milliseconds) = milliseconds.quotientAndRemainder(dividingBy: 1000)
    if milliseconds < 0 {
      seconds -= 1
      milliseconds += 1000
    }
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    let date = "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(parts.tm_mday, 2))"
    let clock = "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
    return "\(date)T\(clock).\(padded(milliseconds, 3))Z"
  }
}

private func padded(_ number: some BinaryInteger, _ count: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, count - digits.count)) + digits
}
