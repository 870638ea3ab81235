// SPDX-License-Identifier: Apache-2.0
/// Encodes the protobuf wire format field by field into existing memory, without a bounds check: the caller must
/// provide enough memory.
///
/// Like ``ProtobufWriter``, it omits a field with the value zero or without bytes. Field numbers must be below 16.
public struct ProtobufCursor {
  /// The address of the next byte.
  public var place: UnsafeMutableRawPointer

  @inlinable
  /// Creates a cursor.
  ///
  /// - Parameter place: the address of the first byte.
  public init(place: UnsafeMutableRawPointer) {
    self.place = place
  }

  /// Returns the bytes that a closure writes.
  ///
  /// - Parameters:
  ///   - maximum: the maximum number of bytes that the closure writes.
  ///   - body: the closure.
  /// - Returns: the written bytes.
  @inlinable
  public static func bytes(atMost maximum: Int, _ body: (inout ProtobufCursor) -> Void) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: maximum) { buffer, count in
      guard let start = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
      var cursor = ProtobufCursor(place: start)
      body(&cursor)
      count = cursor.place - start
      precondition(count <= maximum, "more was written than there is room for")
    }
  }

  @inlinable
  mutating func byte(_ byte: UInt8) {
    place.storeBytes(of: byte, as: UInt8.self)
    place += 1
  }

  @inlinable
  mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      byte(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    byte(UInt8(truncatingIfNeeded: rest))
  }

  /// Writes the tag and the length of the bytes that are written next.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - length: the length in bytes.
  @inlinable
  public mutating func prefix(_ field: UInt8, _ length: Int) {
    byte(field << 3 | 2)
    varint(UInt64(length))
  }

  /// Writes an unsigned number, with at most 11 bytes.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - value: the value.
  @inlinable
  public mutating func unsigned(_ field: UInt8, _ value: UInt64) {
    guard value != 0 else { return }
    byte(field << 3)
    varint(value)
  }

  /// Returns the number of bytes that ``unsigned(_:_:)`` writes.
  ///
  /// - Parameter value: the value.
  /// - Returns: the number of bytes.
  @inlinable
  public static func unsignedSize(_ value: UInt64) -> Int {
    value == 0 ? 0 : 1 + ProtobufWriter.varintSize(value)
  }

  /// Writes a string or bytes field, with at most 11 bytes more than the value has.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - bytes: the value.
  @inlinable
  public mutating func bytes(_ field: UInt8, _ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    prefix(field, bytes.count)
    raw(bytes)
  }

  /// Writes a string field.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - text: the value.
  @inlinable
  public mutating func string(_ field: UInt8, _ text: String) {
    var text = text
    text.withUTF8 { bytes(field, UnsafeRawBufferPointer($0)) }
  }

  /// Writes bytes without a field of their own.
  ///
  /// - Parameter bytes: the bytes.
  @inlinable
  public mutating func raw(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    place.copyMemory(from: start, byteCount: bytes.count)
    place += bytes.count
  }

  /// Writes a static text without a field of its own.
  ///
  /// - Parameter text: the text.
  @inlinable
  public mutating func raw(_ text: StaticString) {
    raw(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}
