/// Writes the wire format field by field where it stands, without a check of the room: who lends it has made enough.
///
/// As ``ProtobufWriter``, it leaves out a field of value zero or of no bytes. Fields are below 16.
public struct ProtobufCursor {
  /// Where the next byte goes.
  public var place: UnsafeMutableRawPointer

  @inlinable
  public init(place: UnsafeMutableRawPointer) {
    self.place = place
  }

  /// What `body` writes, which is at most so many bytes.
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

  /// The tag and the length of what is written next.
  @inlinable
  public mutating func prefix(_ field: UInt8, _ length: Int) {
    byte(field << 3 | 2)
    varint(UInt64(length))
  }

  /// At most 11 bytes.
  @inlinable
  public mutating func unsigned(_ field: UInt8, _ value: UInt64) {
    guard value != 0 else { return }
    byte(field << 3)
    varint(value)
  }

  /// How many bytes ``unsigned(_:_:)`` writes.
  @inlinable
  public static func unsignedSize(_ value: UInt64) -> Int {
    value == 0 ? 0 : 1 + ProtobufWriter.varintSize(value)
  }

  /// A string or bytes: at most 11 bytes more than they are.
  @inlinable
  public mutating func bytes(_ field: UInt8, _ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    prefix(field, bytes.count)
    raw(bytes)
  }

  @inlinable
  public mutating func string(_ field: UInt8, _ text: String) {
    var text = text
    text.withUTF8 { bytes(field, UnsafeRawBufferPointer($0)) }
  }

  /// Bytes that are in no field of their own.
  @inlinable
  public mutating func raw(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    place.copyMemory(from: start, byteCount: bytes.count)
    place += bytes.count
  }

  @inlinable
  public mutating func raw(_ text: StaticString) {
    raw(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}
