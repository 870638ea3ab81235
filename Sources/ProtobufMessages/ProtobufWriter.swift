// SPDX-License-Identifier: Apache-2.0
/// Encodes the protobuf wire format field by field into an array, for messages that are written on every call.
///
/// As in proto3, a field with the value zero, or an empty string, is omitted. If fields are written in order of their
/// numbers, the bytes are those that protobuf-c generates. https://protobuf.dev/programming-guides/encoding/
public enum ProtobufWriter {
  /// Appends a varint of 1 to 10 bytes.
  ///
  /// - Parameters:
  ///   - value: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func varint(_ value: UInt64, to out: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    out.append(UInt8(truncatingIfNeeded: rest))
  }

  /// Returns the number of bytes that ``varint(_:to:)`` appends.
  ///
  /// - Parameter value: the value.
  /// - Returns: the number of bytes.
  @inlinable
  public static func varintSize(_ value: UInt64) -> Int {
    (70 - (value | 1).leadingZeroBitCount) / 7
  }

  /// Appends a `uint64`, `uint32` or enum field.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - value: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func unsigned(_ field: UInt32, _ value: UInt64, to out: inout [UInt8]) {
    guard value != 0 else { return }
    tag(field, wireType: 0, to: &out)
    varint(value, to: &out)
  }

  /// Appends an `int64` or `int32` field. A negative value takes 10 bytes.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - value: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func signed(_ field: UInt32, _ value: Int64, to out: inout [UInt8]) {
    unsigned(field, UInt64(bitPattern: value), to: &out)
  }

  /// Appends a `bool` field.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - value: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func bool(_ field: UInt32, _ value: Bool, to out: inout [UInt8]) {
    unsigned(field, value ? 1 : 0, to: &out)
  }

  /// Appends a `fixed64` field.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - value: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func fixed64(_ field: UInt32, _ value: UInt64, to out: inout [UInt8]) {
    guard value != 0 else { return }
    presentFixed64(field, value, to: &out)
  }

  /// Appends a `fixed64` field, or the bits of a `double` field. It is not omitted for the value 0, for fields whose
  /// presence is significant.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - value: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func presentFixed64(_ field: UInt32, _ value: UInt64, to out: inout [UInt8]) {
    tag(field, wireType: 1, to: &out)
    eightBytes(value, to: &out)
  }

  /// Appends a `repeated fixed64` field, or the bits of a `repeated double` field.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - values: the values.
  ///   - out: the encoded bytes.
  @inlinable
  public static func packedFixed64(_ field: UInt32, _ values: [UInt64], to out: inout [UInt8]) {
    guard !values.isEmpty else { return }
    lengthPrefix(field, values.count * 8, to: &out)
    for value in values { eightBytes(value, to: &out) }
  }

  /// Appends the eight bytes of a number, the lowest first.
  @inlinable
  static func eightBytes(_ value: UInt64, to out: inout [UInt8]) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) { out.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  /// Appends a `double` field. Minus zero counts as zero, as in protobuf-c.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - value: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func double(_ field: UInt32, _ value: Double, to out: inout [UInt8]) {
    fixed64(field, value == 0 ? 0 : value.bitPattern, to: &out)
  }

  /// Appends a `string` field.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - text: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func string(_ field: UInt32, _ text: String, to out: inout [UInt8]) {
    let utf8 = text.utf8
    guard !utf8.isEmpty else { return }
    lengthPrefix(field, utf8.count, to: &out)
    out.append(contentsOf: utf8)
  }

  /// Appends a `bytes` field.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - bytes: the value.
  ///   - out: the encoded bytes.
  @inlinable
  public static func bytes(_ field: UInt32, _ bytes: some Collection<UInt8>, to out: inout [UInt8]) {
    guard !bytes.isEmpty else { return }
    lengthPrefix(field, bytes.count, to: &out)
    out.append(contentsOf: bytes)
  }

  /// Appends the tag and the length of a string or a nested message whose bytes the caller appends next. It is not
  /// omitted for the length 0, because an empty message differs from an absent one.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - length: the length in bytes.
  ///   - out: the encoded bytes.
  @inlinable
  public static func lengthPrefix(_ field: UInt32, _ length: Int, to out: inout [UInt8]) {
    tag(field, wireType: 2, to: &out)
    varint(UInt64(length), to: &out)
  }

  /// Returns the total number of bytes of a nested message, string or bytes field.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - length: the length of the value in bytes.
  /// - Returns: the number of bytes.
  @inlinable
  public static func lengthPrefixedSize(_ field: UInt32, _ length: Int) -> Int {
    varintSize(UInt64(field) << 3) + varintSize(UInt64(length)) + length
  }

  /// Appends a nested message. If it is longer than 127 bytes, its bytes are moved once.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - out: the encoded bytes.
  ///   - body: appends the fields of the message.
  @inlinable
  public static func message(_ field: UInt32, to out: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
    tag(field, wireType: 2, to: &out)
    let start = out.count
    out.append(0)
    body(&out)
    let length = UInt64(out.count - start - 1)
    guard length >= 0x80 else {
      out[start] = UInt8(truncatingIfNeeded: length)
      return
    }
    var prefix: [UInt8] = []
    varint(length, to: &prefix)
    out.replaceSubrange(start...start, with: prefix)
  }

  @inlinable
  static func tag(_ field: UInt32, wireType: UInt64, to out: inout [UInt8]) {
    varint(UInt64(field) << 3 | wireType, to: &out)
  }
}
