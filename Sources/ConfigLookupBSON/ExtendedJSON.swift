// SPDX-License-Identifier: Apache-2.0
internal import CBSON

/// Encodes BSON values as JSON that MongoDB's tools and JavaScript decode to the same values.
///
/// The format is relaxed Extended JSON v2 with one difference: an integer that a JavaScript number cannot represent
/// becomes a `$numberLong`. The text depends only on the value, not on the version of a library, so equal values have
/// equal etags. https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
struct ExtendedJSON {
  /// The reason why a value cannot be encoded.
  enum Failure: Error {
    /// A part is malformed, or a text is not valid UTF-8.
    case malformed
    /// Objects and arrays are nested deeper than ``maximumDepth``.
    case tooDeep
    /// The text would be longer than the limit.
    case tooLarge
  }

  /// The maximum nesting depth of objects and arrays. The server does not store deeper ones.
  static let maximumDepth = 200

  /// The integers that a JavaScript number represents exactly, each different from its neighbours.
  private static let safeIntegers = -9_007_199_254_740_991...9_007_199_254_740_991 as ClosedRange<Int64>
  /// The dates that are written as text: 1970-01-01 to 9999-12-31.
  private static let datesInText = 0...253_402_300_799_999 as ClosedRange<Int64>

  private var out: [UInt8] = []
  private let limit: Int

  private init(limit: Int) {
    self.limit = limit
  }

  /// Encodes a value.
  ///
  /// - Parameters:
  ///   - value: a value of any type.
  ///   - limit: the maximum length of the text in bytes.
  static func text(of value: BSONValue, limit: Int = .max) throws(Failure) -> String {
    var writer = ExtendedJSON(limit: limit)
    writer.out.reserveCapacity(min(limit, value.bytes.count + value.bytes.count / 4))
    try writer.write(value, depth: 0)
    return String(decoding: writer.out, as: UTF8.self)
  }

  // MARK: Values

  private mutating func write(_ value: BSONValue, depth: Int) throws(Failure) {
    switch value.type {
    case .object, .array: try writeFields(value.bytes, isArray: value.type == .array, depth: depth + 1)
    case .string: try write(string: value.stringBytes)
    case .double: write(value.double ?? 0)
    case .int32: write(text: String(value.int32 ?? 0))
    case .int64: write(value.int64 ?? 0)
    case .bool: write(text: value.bool == true ? "true" : "false")
    case .null: write(text: "null")
    case .date: write(date: value.int64 ?? 0)
    case .objectID:
      write("{ \"$oid\" : \"")
      write(hexadecimal: value.bytes)
      write("\" }")
    case .timestamp:
      let time = value.timestamp ?? (0, 0)
      write(text: "{ \"$timestamp\" : { \"t\" : \(time.seconds), \"i\" : \(time.increment) } }")
    case .symbol: try write(wrapped: "$symbol", value.stringBytes)
    case .code: try write(wrapped: "$code", codeBytes(value.bytes))
    case .codeWithScope: try writeCodeWithScope(value, depth: depth)
    case .decimal128: write(text: "{ \"$numberDecimal\" : \"\(decimalText(value.bytes))\" }")
    case .binary: try write(binary: value.bytes)
    case .regularExpression: try write(regularExpression: value.bytes)
    case .databasePointer: try write(databasePointer: value.bytes)
    case .undefined: write("{ \"$undefined\" : true }")
    case .minimumKey: write("{ \"$minKey\" : 1 }")
    case .maximumKey: write("{ \"$maxKey\" : 1 }")
    }
    if out.count > limit { throw .tooLarge }
  }

  private mutating func writeFields(_ bytes: UnsafeRawBufferPointer, isArray: Bool, depth: Int) throws(Failure) {
    guard depth <= Self.maximumDepth else { throw .tooDeep }
    guard bytes.count >= 5, bytes.last == 0 else { throw .malformed }
    var failure: Failure?
    var isFirst = true
    // The number of bytes read: a length, then each field with its type and its name. Reading stops early at a
    // malformed element.
    var read = 4
    write(isArray ? "[ " : "{ ")
    BSONObject(bytes: bytes, path: "").forEach { name, value in
      read += 2 + name.count + value.bytes.count
      if !isFirst { write(", ") }
      isFirst = false
      do throws(Failure) {
        if !isArray {
          try write(string: UnsafeRawBufferPointer(name))
          write(" : ")
        }
        try write(value, depth: depth)
        return true
      } catch {
        failure = error
        return false
      }
    }
    if let failure { throw failure }
    guard read + 1 == bytes.count else { throw .malformed }
    // The spaces are those of libbson, because earlier servers hash its texts: an empty document has one space, an
    // empty part of it two.
    if isFirst, !isArray, depth == 1 { return write("}") }
    write(isArray ? " ]" : " }")
  }

  private mutating func writeCodeWithScope(_ value: BSONValue, depth: Int) throws(Failure) {
    guard value.bytes.count >= 8 else { throw .malformed }
    write("{ \"$code\" : ")
    let scope = scope(of: value)
    try write(string: codeBytes(UnsafeRawBufferPointer(rebasing: value.bytes.dropFirst(4).dropLast(scope.count))))
    write(", \"$scope\" : ")
    try writeFields(scope, isArray: false, depth: depth + 1)
    write(" }")
  }

  // MARK: Numbers and dates

  private mutating func write(_ number: Int64) {
    write(text: Self.safeIntegers.contains(number) ? "\(number)" : "{ \"$numberLong\" : \"\(number)\" }")
  }

  private mutating func write(_ number: Double) {
    guard number.isFinite else {
      let text = number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity"
      return write(text: "{ \"$numberDouble\" : \"\(text)\" }")
    }
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { room in
      guard let text = room.baseAddress else { return }
      cbson_double_in_20_digits(number, text, room.count)
      let digits = UnsafeRawBufferPointer(start: text, count: strlen(text))
      out.append(contentsOf: digits)
      // A reader that distinguishes number types reads a double.
      let isDouble = digits.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") }
      if !isDouble { write(".0") }
    }
  }

  private mutating func write(date milliseconds: Int64) {
    guard Self.datesInText.contains(milliseconds) else {
      return write(text: "{ \"$date\" : { \"$numberLong\" : \"\(milliseconds)\" } }")
    }
    write(text: "{ \"$date\" : \"\(iso8601(milliseconds: milliseconds))\" }")
  }

  private func decimalText(_ bytes: UnsafeRawBufferPointer) -> String {
    guard bytes.count >= 16 else { return "NaN" }
    var decimal = bson_decimal128_t()
    decimal.low = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    decimal.high = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(BSON_DECIMAL128_STRING)) { room in
      guard let text = room.baseAddress else { return "NaN" }
      bson_decimal128_to_string(&decimal, text)
      return String(cString: text)
    }
  }

  // MARK: Bytes

  /// Writes binary data. In BSON it is the length, the subtype, and the data; the data of the old subtype 2 begins with
  /// its length once more.
  private mutating func write(binary bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard bytes.count >= 5 else { throw .malformed }
    let type = bytes[4]
    var data = UnsafeRawBufferPointer(rebasing: bytes[5...])
    if type == 2 {
      guard data.count >= 4 else { throw .malformed }
      data = UnsafeRawBufferPointer(rebasing: data[4...])
    }
    write("{ \"$binary\" : { \"base64\" : \"")
    write(base64: data)
    write("\", \"subType\" : \"")
    withUnsafeBytes(of: type) { write(hexadecimal: $0) }
    write("\" } }")
  }

  /// Writes a regular expression. In BSON it is two texts, each with a zero byte at its end.
  private mutating func write(regularExpression bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard let end = bytes.firstIndex(of: 0), bytes.last == 0, bytes.count >= end + 2 else { throw .malformed }
    write("{ \"$regularExpression\" : { \"pattern\" : ")
    try write(string: UnsafeRawBufferPointer(rebasing: bytes[..<end]))
    write(", \"options\" : ")
    // In alphabetical order, as the specification of extended JSON requires.
    let options = bytes[(end + 1)..<(bytes.count - 1)].sorted()
    var failure: Failure?
    options.withUnsafeBytes { options in
      do throws(Failure) { try write(string: options) } catch { failure = error }
    }
    if let failure { throw failure }
    write(" } }")
  }

  /// Writes a DBPointer. In BSON it is the namespace as a string with its length, then the 12 bytes of an ObjectId.
  private mutating func write(databasePointer bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard bytes.count >= 17 else { throw .malformed }
    write("{ \"$dbPointer\" : { \"$ref\" : ")
    try write(string: UnsafeRawBufferPointer(rebasing: bytes[4..<(bytes.count - 13)]))
    write(", \"$id\" : { \"$oid\" : \"")
    write(hexadecimal: UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - 12)...]))
    write("\" } } }")
  }

  // MARK: Text

  private mutating func write(wrapped name: StaticString, _ bytes: UnsafeRawBufferPointer?) throws(Failure) {
    write("{ \"")
    write(name)
    write("\" : ")
    try write(string: bytes)
    write(" }")
  }

  /// Writes a JSON string. Throws if the bytes are not valid UTF-8.
  private mutating func write(string bytes: UnsafeRawBufferPointer?) throws(Failure) {
    guard let bytes, (try? UTF8Span(validating: bytes.bindMemory(to: UInt8.self).span)) != nil else {
      throw .malformed
    }
    out.append(UInt8(ascii: "\""))
    var start = 0
    for (place, byte) in bytes.enumerated() {
      guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
      out.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<place]))
      start = place + 1
      write(escaped: byte)
      // The text grows here, so it is not written to its end once it exceeds the limit.
      if out.count > limit { throw .tooLarge }
    }
    out.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start...]))
    out.append(UInt8(ascii: "\""))
  }

  private mutating func write(escaped byte: UInt8) {
    out.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x08: out.append(UInt8(ascii: "b"))
    case 0x09: out.append(UInt8(ascii: "t"))
    case 0x0A: out.append(UInt8(ascii: "n"))
    case 0x0C: out.append(UInt8(ascii: "f"))
    case 0x0D: out.append(UInt8(ascii: "r"))
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(byte)
    default:
      write("u00")
      withUnsafeBytes(of: byte) { write(hexadecimal: $0) }
    }
  }

  private mutating func write(hexadecimal bytes: UnsafeRawBufferPointer) {
    let digits: StaticString = "0123456789abcdef"
    digits.withUTF8Buffer { digits in
      for byte in bytes {
        out.append(digits[Int(byte >> 4)])
        out.append(digits[Int(byte & 15)])
      }
    }
  }

  private mutating func write(base64 bytes: UnsafeRawBufferPointer) {
    let digits: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    digits.withUTF8Buffer { digits in
      for start in stride(from: 0, to: bytes.count, by: 3) {
        let count = min(3, bytes.count - start)
        var bits: UInt32 = 0
        for index in 0..<3 { bits = bits << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
        for index in 0..<4 {
          let digit = Int(bits >> (18 - 6 * UInt32(index)) & 63)
          out.append(index <= count ? digits[digit] : UInt8(ascii: "="))
        }
      }
    }
  }

  private mutating func write(_ text: StaticString) {
    text.withUTF8Buffer { out.append(contentsOf: $0) }
  }

  private mutating func write(text: String) {
    out.append(contentsOf: text.utf8)
  }
}

/// The text of a string between its length and its zero byte; nil if the bytes are too few.
private func codeBytes(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
  bytes.count >= 5 ? UnsafeRawBufferPointer(rebasing: bytes[4..<(bytes.count - 1)]) : nil
}

/// The scope of a code value, which follows the total length and the code as a string with its length.
func scope(of value: BSONValue) -> UnsafeRawBufferPointer {
  guard value.bytes.count >= 8 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
  let code = Int(UInt32(littleEndian: value.bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
  return UnsafeRawBufferPointer(rebasing: value.bytes.dropFirst(8 + code))
}
