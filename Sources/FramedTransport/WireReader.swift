// SPDX-License-Identifier: Apache-2.0
/// Iterates over the fields of an encoded protobuf message. It accepts and rejects the same messages as protobuf-c with
/// two exceptions, which only this type rejects: an invalid field number, and a bool with another wire type.
///
/// It borrows its bytes, and must not be used after they are released.
struct WireReader {
  /// The wire types in use. Groups (3 and 4) are rejected.
  enum WireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
  }

  private let bytes: UnsafeRawBufferPointer
  private var offset = 0

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  var isAtEnd: Bool { offset == bytes.count }

  /// Reads the number and the wire type of the next field.
  @inline(__always)
  mutating func tag() throws(FrameError) -> (number: UInt32, type: WireType) {
    if offset < bytes.count, bytes[offset] < 0x80, bytes[offset] >= 8,
      let type = WireType(rawValue: bytes[offset] & 7)
    {
      defer { offset += 1 }
      return (UInt32(bytes[offset] >> 3), type)
    }
    return try longTag()
  }

  private mutating func longTag() throws(FrameError) -> (number: UInt32, type: WireType) {
    let tag = try varint(maximumBytes: 5)
    guard let number = UInt32(exactly: tag >> 3), number != 0, number < 1 << 29 else {
      throw FrameError("a field number is out of range")
    }
    guard let type = WireType(rawValue: UInt8(tag & 7)) else {
      throw FrameError("field \(number) has wire type \(tag & 7), which is not supported")
    }
    return (number, type)
  }

  mutating func varint() throws(FrameError) -> UInt64 {
    if let short = shortVarint() { return short }
    return try varint(maximumBytes: 10)
  }

  /// Reads a number of one byte, as nearly all are; nil for any other.
  @inline(__always)
  private mutating func shortVarint() -> UInt64? {
    guard offset < bytes.count, bytes[offset] < 0x80 else { return nil }
    defer { offset += 1 }
    return UInt64(bytes[offset])
  }

  /// Reads a number. Lengths and tags have at most five bytes, values at most ten; bits beyond 64 are dropped.
  private mutating func varint(maximumBytes: Int) throws(FrameError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<maximumBytes {
      guard offset < bytes.count else { throw FrameError("a varint is truncated") }
      let byte = bytes[offset]
      offset += 1
      value |= UInt64(byte & 0x7f) << UInt64(7 * index)
      if byte < 0x80 { return value }
    }
    throw FrameError("a varint is too long")
  }

  /// Reads the bytes of a string, a byte string or a nested message.
  mutating func lengthDelimited() throws(FrameError) -> UnsafeRawBufferPointer {
    let length = if let short = shortVarint() { short } else { try varint(maximumBytes: 5) }
    guard length <= UInt64(bytes.count - offset) else { throw FrameError("a field is longer than its message") }
    let end = offset + Int(length)
    defer { offset = end }
    return UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + offset }, count: Int(length))
  }

  mutating func skip(_ type: WireType) throws(FrameError) {
    switch type {
    case .varint: _ = try varint()
    case .bytes: _ = try lengthDelimited()
    case .fixed64: try skip(bytes: 8)
    case .fixed32: try skip(bytes: 4)
    }
  }

  private mutating func skip(bytes count: Int) throws(FrameError) {
    guard bytes.count - offset >= count else { throw FrameError("a field is longer than its message") }
    offset += count
  }

  /// Reads a varint field. `name` is for error messages.
  mutating func varint(_ type: WireType, of name: StaticString) throws(FrameError) -> UInt64 {
    guard type == .varint else { throw wrongType(name, type) }
    return try varint()
  }

  /// Reads a length-delimited field. `name` is for error messages.
  mutating func lengthDelimited(_ type: WireType, of name: StaticString) throws(FrameError) -> UnsafeRawBufferPointer {
    guard type == .bytes else { throw wrongType(name, type) }
    return try lengthDelimited()
  }

  private func wrongType(_ name: StaticString, _ type: WireType) -> FrameError {
    FrameError("\(name) has wire type \(type.rawValue)")
  }
}
