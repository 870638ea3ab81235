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
  public func message(_ field: UInt8, maximum: Int, _ body: (inout Cursor) -> Void) {
    precondition(maximum + Self.prefixBytes <= capacity, "a scratch that is too small")
    var cursor = Cursor(place: memory + Self.prefixBytes)
    body(&cursor)
    end = cursor.place - memory
    let length = end - Self.prefixBytes
    // Its length is known last and stands in front.
    let prefix = 1 + ProtobufWriter.varintSize(UInt64(length))
    start = Self.prefixBytes - prefix
    var front = Cursor(place: memory + start)
    front.prefix(field, length)
  }

  /// Writes the tag and the length of what follows elsewhere.
  @inlinable
  public func prefix(_ field: UInt8, _ length: Int) {
    precondition(end + Self.prefixBytes <= capacity, "a scratch that is too small")
    var cursor = Cursor(place: memory + end)
    cursor.prefix(field, length)
    end = cursor.place - memory
  }

  /// A tag and a length take at most this.
  @usableFromInline static let prefixBytes = 16

  /// Where the next byte goes.
  public struct Cursor {
    @usableFromInline var place: UnsafeMutableRawPointer

    @inlinable
    init(place: UnsafeMutableRawPointer) {
      self.place = place
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

    @inlinable
    mutating func prefix(_ field: UInt8, _ length: Int) {
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

    /// A string or bytes.
    @inlinable
    public mutating func bytes(_ field: UInt8, _ bytes: UnsafeRawBufferPointer) {
      guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
      prefix(field, bytes.count)
      place.copyMemory(from: base, byteCount: bytes.count)
      place += bytes.count
    }
  }
}
