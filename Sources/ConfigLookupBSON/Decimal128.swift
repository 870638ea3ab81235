// SPDX-License-Identifier: Apache-2.0
internal import CBSON

/// A decimal number of up to 34 digits: IEEE 754-2008 decimal128 in its binary integer decimal encoding, as in BSON.
enum Decimal128 {
  case notANumber
  case infinity(isNegative: Bool)
  case finite(Finite)

  /// The number `coefficient` times 10 to the power of `exponent`.
  ///
  /// The coefficient has no trailing zeros, unless the exponent is the greatest that can be encoded. So equal numbers
  /// have equal representations.
  struct Finite {
    let isNegative: Bool
    private(set) var coefficient: UInt128
    private(set) var exponent: Int
  }

  fileprivate static let exponentBias = 6176
  fileprivate static let greatestExponent = 6111
  private static let greatestCoefficient = UInt128(9_999_999_999_999_999_999_999_999_999_999_999)

  /// Decodes the 16 bytes of a BSON value.
  init(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 16 else {
      self = .notANumber
      return
    }
    let low = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    let high = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    let isNegative = high >> 63 == 1
    switch high >> 58 & 0b11111 {
    case 0b11111: self = .notANumber
    case 0b11110: self = .infinity(isNegative: isNegative)
    case let combination where combination >> 3 == 0b11:
      // A coefficient with more digits than are allowed counts as zero.
      self = .finite(Finite(reducing: 0, exponent: 0, isNegative: isNegative))
    default:
      let coefficient = UInt128(high & (1 << 49 - 1)) << 64 | UInt128(low)
      self = .finite(
        Finite(
          reducing: coefficient <= Self.greatestCoefficient ? coefficient : 0,
          exponent: Int(high >> 49 & (1 << 14 - 1)) - Self.exponentBias, isNegative: isNegative))
    }
  }
}

extension Decimal128.Finite {
  fileprivate init(reducing coefficient: UInt128, exponent: Int, isNegative: Bool) {
    self.isNegative = isNegative
    self.coefficient = coefficient
    self.exponent = exponent
    if coefficient == 0 { self.exponent = 0 }
    while self.exponent < Decimal128.greatestExponent, self.coefficient != 0 {
      let (quotient, remainder) = self.coefficient.quotientAndRemainder(dividingBy: 10)
      guard remainder == 0 else { break }
      self.coefficient = quotient
      self.exponent += 1
    }
  }

  /// The number as a 64-bit integer; nil if it is none.
  var integer: Int64? {
    guard exponent >= 0, exponent < 20 || coefficient == 0 else { return nil }
    var number = Int128(coefficient)
    for _ in 0..<exponent {
      number *= 10
      // This is far from an overflow in the next step.
      guard number <= Int128(UInt64.max) else { return nil }
    }
    return Int64(exactly: isNegative ? -number : number)
  }

  /// The double that equals the number; nil if there is none. A double equals a number if it results in that number
  /// when it is rounded to 34 digits, which is how the server compares the two types.
  var double: Double? {
    var digits = String(coefficient)
    let power = exponent + digits.utf8.count - 1
    guard let double = Double("\(isNegative ? "-" : "")\(digits)e\(exponent)"), double.isFinite else { return nil }
    // The format of the C library: `d.ddd…e±xx`, correctly rounded.
    var text = [CChar](repeating: 0, count: 64)
    cbson_double_in_34_digits(abs(double), &text, text.count)
    digits += String(repeating: "0", count: 34 - digits.utf8.count)
    let written = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(
      separator: "e")
    guard written.count == 2, let writtenPower = Int(written[1]), writtenPower == power else { return nil }
    return written[0].utf8.filter { $0 != UInt8(ascii: ".") }.elementsEqual(digits.utf8) ? double : nil
  }

  /// The number in BSON's encoding, the lower half first.
  var bits: UInt128 {
    let high = (isNegative ? UInt64(1) << 63 : 0) | UInt64(exponent + Decimal128.exponentBias) << 49
    return UInt128(high) << 64 | coefficient
  }
}
