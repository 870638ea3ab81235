// SPDX-License-Identifier: Apache-2.0
/// Parses a date such as `2026-01-09`, `2026-01-09T10:20:30Z` or `…30.123456+03:00`.
///
/// It accepts the forms of RFC 3339, and those that Python's `isoformat` writes: a space for the `T`, no seconds, no
/// offset (which means UTC).
///
/// - Parameter text: the date.
/// - Returns: the milliseconds since 1970-01-01T00:00:00Z; nil for any other text.
public func millisecondsOfISO8601(_ text: String) -> Int64? {
  var text = text
  return text.withUTF8(milliseconds)
}

private func milliseconds(of text: UnsafeBufferPointer<UInt8>) -> Int64? {
  var place = 0
  func digits(_ count: Int) -> Int64? {
    guard text.count - place >= count else { return nil }
    var number: Int64 = 0
    for byte in text[place..<place + count] {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      number = number * 10 + Int64(byte - UInt8(ascii: "0"))
    }
    place += count
    return number
  }
  func take(_ characters: StaticString) -> UInt8? {
    guard place < text.count else { return nil }
    let byte = text[place]
    guard characters.withUTF8Buffer({ $0.contains(byte) }) else { return nil }
    place += 1
    return byte
  }

  guard let year = digits(4), take("-") != nil, let month = digits(2), take("-") != nil, let day = digits(2),
    (1...12).contains(month), day >= 1, day <= daysInMonth(month, year)
  else { return nil }
  var milliseconds = daysSince1970(year, month, day) * 86_400_000
  if place == text.count { return milliseconds }

  guard take("Tt ") != nil, let hour = digits(2), take(":") != nil, let minute = digits(2), hour < 24, minute < 60
  else { return nil }
  milliseconds += hour * 3_600_000 + minute * 60_000
  if take(":") != nil {
    guard let second = digits(2), second <= 60 else { return nil }
    milliseconds += second * 1000
    if take(".,") != nil {
      var scale: Int64 = 100
      var count = 0
      while let digit = digits(1) {
        milliseconds += digit * scale
        scale /= 10
        count += 1
      }
      if count == 0 { return nil }
    }
  }
  if let sign = take("Zz+-"), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
    guard let hours = digits(2) else { return nil }
    // Accepts `+03`, `+0300` and `+03:00`, but not `+03:`.
    let hasMinutes = take(":") != nil || place < text.count
    guard let minutes = hasMinutes ? digits(2) : 0, hours < 24, minutes < 60 else { return nil }
    let offset = hours * 3_600_000 + minutes * 60_000
    milliseconds += sign == UInt8(ascii: "+") ? -offset : offset
  }
  return place == text.count ? milliseconds : nil
}

private func daysInMonth(_ month: Int64, _ year: Int64) -> Int64 {
  switch month {
  case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
  case 4, 6, 9, 11: 30
  default: 31
  }
}

/// The number of days since 1970-01-01 in the proleptic Gregorian calendar. The year begins in March, so that the leap
/// day is its last day.
private func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
  let shifted = month <= 2 ? year - 1 : year
  let era = shifted / 400
  let yearOfEra = shifted - era * 400
  let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
  let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/// Formats a date of the years 0 to 9999 as `2026-01-09T10:20:30Z`, or as `2026-01-09T10:20:30.250Z` if it has
/// milliseconds.
///
/// - Parameter milliseconds: the milliseconds since 1970-01-01T00:00:00Z.
func iso8601(milliseconds: Int64) -> String {
  func padded(_ number: Int64, _ count: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, count - digits.utf8.count)) + digits
  }
  var (day, rest) = milliseconds.quotientAndRemainder(dividingBy: 86_400_000)
  if rest < 0 { (day, rest) = (day - 1, rest + 86_400_000) }
  let date = dateOfDay(day)
  let (seconds, fraction) = rest.quotientAndRemainder(dividingBy: 1000)
  return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))T\(padded(seconds / 3600, 2)):"
    + "\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))" + (fraction == 0 ? "Z" : ".\(padded(fraction, 3))Z")
}

/// The date of a day that is counted from 1970-01-01: the inverse of `daysSince1970`.
private func dateOfDay(_ day: Int64) -> (year: Int64, month: Int64, day: Int64) {
  let shifted = day + 719_468
  let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
  let dayOfEra = shifted - era * 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let shiftedMonth = (5 * dayOfYear + 2) / 153
  let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
}
