/// Room for a short run of the wire format, written field by field without a check of the room: for what is written on
/// every call. Whoever writes knows how long it can get. One thread.
///
/// As ``ProtobufWriter``, it leaves out a field of value zero. Fields are below 16.
public final class ProtobufScratch {
  @usableFromInline let memory: UnsafeMutableRawPointer
  @usableFromInline let capacity: Int
  @usableFromInline var start = 0
  @usableFromInline var end = 0

  /// Room for `capacity` bytes.
  public init(capacity: Int) {
    memory = .allocate(byteCount: capacity, alignment: 16)
    self.capacity = capacity
  }

  deinit {
    memory.deallocate()
  }

  /// What has been written. Good until the next change.
  @inlinable
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory + start, count: end - start) }

  /// Writes a message of at most `capacity` bytes less those of its own prefix, as field `field` of another.
  @inlinable
  public func message(_ field: UInt8, maximum: Int, _ body: (inout ProtobufCursor) -> Void) {
    precondition(maximum + Self.prefixBytes <= capacity, "a scratch that is too small")
    var cursor = ProtobufCursor(place: memory + Self.prefixBytes)
    body(&cursor)
    end = cursor.place - memory
    let length = end - Self.prefixBytes
    // Its length is known last and stands in front.
    let prefix = 1 + ProtobufWriter.varintSize(UInt64(length))
    start = Self.prefixBytes - prefix
    var front = ProtobufCursor(place: memory + start)
    front.prefix(field, length)
  }

  /// Writes the tag and the length of what follows elsewhere.
  @inlinable
  public func prefix(_ field: UInt8, _ length: Int) {
    precondition(end + Self.prefixBytes <= capacity, "a scratch that is too small")
    var cursor = ProtobufCursor(place: memory + end)
    cursor.prefix(field, length)
    end = cursor.place - memory
  }

  /// A tag and a length take at most this.
  @usableFromInline static let prefixBytes = 16
}
