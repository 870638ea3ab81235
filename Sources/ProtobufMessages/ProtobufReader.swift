// SPDX-License-Identifier: Apache-2.0
/// Decodes the protobuf wire format field by field, for messages that do not justify generated code.
///
/// The reader does not own its bytes: neither the reader nor any value that it returns may outlive them. Groups are
/// rejected. https://protobuf.dev/programming-guides/encoding/
public struct ProtobufReader {
  /// The value of a field, by its wire type.
  public enum Value {
    /// A number, a Boolean or an enum.
    case varint(UInt64)
    /// A string, bytes or a message.
    case bytes(UnsafeRawBufferPointer)
    /// Four or eight bytes.
    case fixed(UnsafeRawBufferPointer)
  }

  private var rest: UnsafeRawBufferPointer

  /// Creates a reader.
  ///
  /// - Parameter bytes: the encoded message.
  public init(_ bytes: UnsafeRawBufferPointer) {
    rest = bytes
  }

  /// Decodes the next field.
  ///
  /// - Returns: the field number and the value; nil at the end.
  /// - Throws: ``ProtobufError/malformed`` if the bytes are not a valid message.
  public mutating func next() throws(ProtobufError) -> (number: UInt32, value: Value)? {
    guard !rest.isEmpty else { return nil }
    let tag = try varint()
    guard let number = UInt32(exactly: tag >> 3), number > 0, number < 1 << 29 else { throw .malformed }
    switch tag & 7 {
    case 0: return (number, .varint(try varint()))
    case 1: return (number, .fixed(try take(8)))
    case 2: return (number, .bytes(try take(varint())))
    case 5: return (number, .fixed(try take(4)))
    default: throw .malformed
    }
  }

  private mutating func varint() throws(ProtobufError) -> UInt64 {
    var value: UInt64 = 0
    for (index, byte) in rest.prefix(10).enumerated() {
      value |= UInt64(byte & 0x7f) << UInt64(7 * index)
      if byte < 0x80 {
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(index + 1))
        return value
      }
    }
    throw .malformed
  }

  private mutating func take(_ count: UInt64) throws(ProtobufError) -> UnsafeRawBufferPointer {
    guard count <= UInt64(rest.count) else { throw .malformed }
    defer { rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(Int(count))) }
    return UnsafeRawBufferPointer(rebasing: rest.prefix(Int(count)))
  }
}
