// SPDX-License-Identifier: Apache-2.0
/// A buffer for a short piece of the protobuf wire format that is written on every call, field by field and without
/// bounds checks: the caller must know the maximum length. Only one thread may use it.
///
/// Like ``ProtobufWriter``, it omits a field with the value zero. Field numbers must be below 16.
public final class ProtobufScratch {
  @usableFromInline let memory: UnsafeMutableRawPointer
  @usableFromInline let capacity: Int
  @usableFromInline var start = 0
  @usableFromInline var end = 0

  /// Creates a buffer.
  ///
  /// - Parameter capacity: the size in bytes.
  public init(capacity: Int) {
    memory = .allocate(byteCount: capacity, alignment: 16)
    self.capacity = capacity
  }

  deinit {
    memory.deallocate()
  }

  /// The written bytes, valid until the next change.
  @inlinable
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory + start, count: end - start) }

  /// Writes a nested message, and replaces the previous content.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - maximum: the maximum number of bytes that the closure writes. With the message's prefix they must fit into the
  ///     capacity.
  ///   - body: writes the fields of the message.
  @inlinable
  public func message(_ field: UInt8, maximum: Int, _ body: (inout ProtobufCursor) -> Void) {
    precondition(maximum + Self.prefixBytes <= capacity, "a scratch that is too small")
    var cursor = ProtobufCursor(place: memory + Self.prefixBytes)
    body(&cursor)
    end = cursor.place - memory
    let length = end - Self.prefixBytes
    // The length is known last, but is placed in front.
    let prefix = 1 + ProtobufWriter.varintSize(UInt64(length))
    start = Self.prefixBytes - prefix
    var front = ProtobufCursor(place: memory + start)
    front.prefix(field, length)
  }

  /// Appends the tag and the length of bytes that follow in another buffer.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - length: the length in bytes.
  @inlinable
  public func prefix(_ field: UInt8, _ length: Int) {
    precondition(end + Self.prefixBytes <= capacity, "a scratch that is too small")
    var cursor = ProtobufCursor(place: memory + end)
    cursor.prefix(field, length)
    end = cursor.place - memory
  }

  /// The maximum size of a tag and a length, in bytes.
  @usableFromInline static let prefixBytes = 16
}
