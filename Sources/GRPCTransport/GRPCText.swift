// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Encodes and decodes the values of gRPC's headers: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
enum GRPCText {
  /// The value of `grpc-timeout` in nanoseconds. It consists of one to eight digits and a unit; nil if it is malformed.
  static func timeout(_ text: UnsafeRawBufferPointer) -> UInt64? {
    guard (2...9).contains(text.count), let unit = text.last else { return nil }
    var number: UInt64 = 0
    for digit in text.dropLast() {
      guard (0x30...0x39).contains(digit) else { return nil }
      number = number * 10 + UInt64(digit - 0x30)
    }
    switch unit {
    // The maximum, 99,999,999 hours, does not fit into 64 bits. It is reduced to a value that is still longer than any
    // call.
    case UInt8(ascii: "H"): return min(number, 1_000_000) * 3_600_000_000_000
    case UInt8(ascii: "M"): return number * 60_000_000_000
    case UInt8(ascii: "S"): return number * 1_000_000_000
    case UInt8(ascii: "m"): return number * 1_000_000
    case UInt8(ascii: "u"): return number * 1000
    case UInt8(ascii: "n"): return number
    default: return nil
    }
  }

  /// Appends a `grpc-timeout`, of at least one millisecond.
  static func timeout(_ timeout: Duration, to out: inout [UInt8]) {
    let milliseconds = max(1, timeout.milliseconds)
    // The value may have at most eight digits.
    let text = milliseconds < 100_000_000 ? "\(milliseconds)m" : "\(min(milliseconds / 1000, 99_999_999))S"
    out.append(contentsOf: text.utf8)
  }

  /// The value of a status header, which has one to nine digits; nil if it is malformed.
  static func number(_ text: UnsafeRawBufferPointer) -> Int? {
    guard (1...9).contains(text.count), text.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return text.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  /// The inverse of ``percentEncoded(_:to:)``. Malformed sequences are left unchanged.
  static func percentDecoded(_ text: UnsafeRawBufferPointer) -> String {
    var bytes: [UInt8] = []
    var index = 0
    while index < text.count {
      if text[index] == UInt8(ascii: "%"), index + 2 < text.count, let high = hexDigit(text[index + 1]),
        let low = hexDigit(text[index + 2])
      {
        bytes.append(high << 4 | low)
        index += 3
      } else {
        bytes.append(text[index])
        index += 1
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  /// Appends a `grpc-message`. Printable ASCII except `%` is unchanged; every other byte of the UTF-8 becomes `%XX`.
  static func percentEncoded(_ text: String, to out: inout [UInt8]) {
    for byte in text.utf8 {
      if (0x20...0x7e).contains(byte), byte != UInt8(ascii: "%") {
        out.append(byte)
      } else {
        out.append(UInt8(ascii: "%"))
        out.append(hexDigits[Int(byte >> 4)])
        out.append(hexDigits[Int(byte & 15)])
      }
    }
  }

  /// Appends bytes in base64 without padding, as gRPC sends it.
  static func base64(_ bytes: [UInt8], to out: inout [UInt8]) {
    var bits: UInt32 = 0
    var count = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 6 {
        count -= 6
        out.append(base64Digits[Int(bits >> UInt32(count)) & 63])
      }
    }
    if count > 0 { out.append(base64Digits[Int(bits << UInt32(6 - count)) & 63]) }
  }

  /// Decodes base64, with or without padding; nil if the text is not base64.
  static func base64Decoded(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    guard isBase64(text) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3 + 2)
    var bits: UInt32 = 0
    var count = 0
    for digit in text {
      guard let value = base64Digits.firstIndex(of: digit) else { break }
      bits = bits << 6 | UInt32(value)
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    return bytes
  }

  /// Whether the text is base64, with or without padding.
  static func isBase64(_ text: some BidirectionalCollection<UInt8>) -> Bool {
    var digits = text[...]
    if text.count % 4 == 0 {
      for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits = digits.dropLast() }
    }
    return digits.count % 4 != 1 && digits.allSatisfy { base64Digits.contains($0) }
  }

  /// Whether the bytes are a key of metadata. Upper-case letters need no check here, because HTTP/2 forbids them.
  static func isKey(_ name: UnsafeRawBufferPointer) -> Bool {
    !name.isEmpty
      && name.allSatisfy {
        (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d || $0 == 0x2e || $0 == 0x5f
      }
  }

  private static let hexDigits = Array("0123456789ABCDEF".utf8)
  private static let base64Digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}
