// SPDX-License-Identifier: Apache-2.0
internal import CBSON

/// A canonical encoding of BSON values: two values have the same bytes exactly if MongoDB treats them as equal.
///
/// The rules are those of the server's indexes, which ensure that each `_id` of a collection is unique. Numbers of the
/// four types are compared by value (all NaN are equal, and so are 0.0 and -0.0). A symbol equals a string. The fields
/// of an object are compared in order, with their names; the elements of an array without names. All other types are
/// compared by their bytes. https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
enum CanonicalValue {
  /// The maximum depth. Deeper parts, which the server does not store, are compared by their bytes.
  private static let levels = 200

  /// Appends the number of the type and the bytes of the value.
  static func append(_ value: BSONValue, to out: inout [UInt8]) {
    let start = out.count
    out.append(0)
    out[start] = appendValue(value, to: &out, levels).rawValue
  }

  /// Appends the bytes of the value, and returns their type.
  private static func appendValue(_ value: BSONValue, to out: inout [UInt8], _ levels: Int) -> BSONType {
    switch value.type {
    case .int32: return appendInteger(Int64(value.int32 ?? 0), to: &out)
    case .double: return append(value.double ?? 0, to: &out)
    case .decimal128: return append(Decimal128(value.bytes), to: &out)
    case .symbol:
      out.append(contentsOf: value.bytes)
      return .string
    case .bool:
      out.append(value.bool == true ? 1 : 0)
      return .bool
    case .object, .array:
      if !appendFields(value.bytes, isArray: value.type == .array, to: &out, levels) {
        out.append(contentsOf: value.bytes)
      }
      return value.type
    case .codeWithScope:
      appendCodeWithScope(value, to: &out, levels)
      return .codeWithScope
    default:
      out.append(contentsOf: value.bytes)
      return value.type
    }
  }

  // MARK: Numbers

  private static func appendInteger(_ number: Int64, to out: inout [UInt8]) -> BSONType {
    withUnsafeBytes(of: number.littleEndian) { out.append(contentsOf: $0) }
    return .int64
  }

  private static func append(_ number: Double, to out: inout [UInt8]) -> BSONType {
    if let integer = Int64(exactly: number) { return appendInteger(integer, to: &out) }
    let canonical = number.isNaN ? Double.nan : number
    withUnsafeBytes(of: canonical.bitPattern.littleEndian) { out.append(contentsOf: $0) }
    return .double
  }

  private static func append(_ number: Decimal128, to out: inout [UInt8]) -> BSONType {
    switch number {
    case .notANumber: return append(Double.nan, to: &out)
    case .infinity(let isNegative): return append(isNegative ? -Double.infinity : .infinity, to: &out)
    case .finite(let finite):
      if let integer = finite.integer { return appendInteger(integer, to: &out) }
      if let double = finite.double { return append(double, to: &out) }
      let bits = finite.bits
      withUnsafeBytes(of: bits.littleEndian) { out.append(contentsOf: $0) }
      return .decimal128
    }
  }

  // MARK: Values that hold others

  /// Appends an object or array. Returns false, with nothing appended, if it is malformed or too deep.
  private static func appendFields(
    _ bytes: UnsafeRawBufferPointer, isArray: Bool, to out: inout [UInt8], _ levels: Int
  ) -> Bool {
    guard levels > 0, bytes.count >= 5, bytes.last == 0 else { return false }
    let start = out.count
    var index = 0
    // The number of bytes read so far: the length, and each field with its type and its name.
    var read = 4
    out.append(contentsOf: [0, 0, 0, 0])
    BSONObject(bytes: bytes, path: "").forEach { name, value in
      let place = out.count
      out.append(0)
      if isArray { out.append(contentsOf: String(index).utf8) } else { out.append(contentsOf: name) }
      out.append(0)
      out[place] = appendValue(value, to: &out, levels - 1).rawValue
      read += 2 + name.count + value.bytes.count
      index += 1
      return true
    }
    guard read + 1 == bytes.count else {
      out.removeSubrange(start...)
      return false
    }
    out.append(0)
    setLength(of: start, in: &out)
    return true
  }

  /// Appends the total length, the code as a string, and the scope as an object.
  private static func appendCodeWithScope(_ value: BSONValue, to out: inout [UInt8], _ levels: Int) {
    let scope = scope(of: value)
    let start = out.count
    out.append(contentsOf: value.bytes.dropLast(scope.count))
    if appendFields(scope, isArray: false, to: &out, levels - 1) {
      setLength(of: start, in: &out)
    } else {
      out.append(contentsOf: scope)
    }
  }

  private static func setLength(of start: Int, in out: inout [UInt8]) {
    let length = UInt32(truncatingIfNeeded: out.count - start)
    for index in 0..<4 { out[start + index] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(index))) }
  }
}
