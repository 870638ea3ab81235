public import CConfigLookupProto

/// Memory for a tree of protobuf-c messages: handed out piece by piece, given back all at once.
///
/// For replies it builds messages from Swift (``make(_:_:)``, ``bytes(_:)``, ``pointers(_:)``, ``values(_:)``,
/// ``pack(_:)``); for requests it is the bounded allocator that protobuf-c unpacks into
/// (``withUnpacked(_:by:limit:_:)``). A first chunk is kept and used again, so small work costs no call of the system's
/// allocator. Pointers are good until ``reset()``. Belongs to one thread at a time.
public final class ProtobufArena {
  /// Enough for a request of the usual size, unpacked, or a document of some KiB.
  public static let firstChunkSize = 16 * 1024
  /// What one request may take: protobuf-c needs up to 40 times the bytes of a message of unknown fields.
  public static let requestLimit = 1024 * 1024

  /// As strict as `malloc`: right for every type of C.
  private static let alignment = 16
  private static let largestStep = 256 * 1024

  private var chunks: [UnsafeMutableRawBufferPointer]
  /// Bytes handed out of the last chunk, and where it is.
  private var used = 0
  private var last: UnsafeMutableRawPointer
  private var lastSize: Int
  /// Bytes handed out since the last reset, rounded up.
  private var total = 0
  /// ``total`` may not pass this.
  private var ceiling = Int.max
  /// Whether an allocation has been refused since it was last asked for.
  private var wasRefused = false
  /// The C side of this arena, at an address that stays.
  private let allocator: UnsafeMutablePointer<ProtobufCAllocator>

  public init() {
    last = .allocate(byteCount: Self.firstChunkSize, alignment: Self.alignment)
    lastSize = Self.firstChunkSize
    chunks = [UnsafeMutableRawBufferPointer(start: last, count: lastSize)]
    allocator = .allocate(capacity: 1)
    allocator.initialize(to: ProtobufCAllocator(alloc: allocateForC, free: freeForC, allocator_data: nil))
    // Unretained: the allocator dies with self.
    allocator.pointee.allocator_data = Unmanaged.passUnretained(self).toOpaque()
  }

  deinit {
    for chunk in chunks { chunk.deallocate() }
    allocator.deallocate()
  }

  /// Takes everything back. Keeps the first chunk.
  public func reset() {
    rewind(to: Mark(chunk: 0, used: 0, total: 0))
  }

  /// How many bytes are handed out.
  package var bytesInUse: Int { total }
  /// How many chunks are held: 1 means that nothing beyond the first was needed.
  package var chunkCount: Int { chunks.count }

  // MARK: Building messages

  /// A new message of C, set up by its `..._init` function and then filled by `fill`.
  @inlinable
  public func make<Message>(
    _ initialize: (UnsafeMutablePointer<Message>?) -> Void, _ fill: (inout Message) -> Void
  ) -> UnsafeMutablePointer<Message> {
    let memory = allocateOrTrap(MemoryLayout<Message>.size)
    let message = memory.bindMemory(to: Message.self, capacity: 1)
    initialize(message)
    fill(&message.pointee)
    return message
  }

  /// The UTF-8 of a string, copied.
  public func bytes(_ text: String) -> ProtobufCBinaryData {
    var text = text
    return text.withUTF8 { bytes(UnsafeRawBufferPointer($0)) }
  }

  /// Bytes, copied.
  public func bytes(_ source: UnsafeRawBufferPointer) -> ProtobufCBinaryData {
    guard !source.isEmpty else { return ProtobufCBinaryData(len: 0, data: nil) }
    let memory = allocateOrTrap(source.count)
    memory.copyMemory(from: source.baseAddress ?? UnsafeRawPointer(memory), byteCount: source.count)
    return ProtobufCBinaryData(len: source.count, data: memory.bindMemory(to: UInt8.self, capacity: source.count))
  }

  /// Bytes, copied.
  public func bytes(_ source: [UInt8]) -> ProtobufCBinaryData {
    source.withUnsafeBytes { bytes($0) }
  }

  /// A repeated field of messages: an array of pointers. Nil for none.
  @inlinable
  public func pointers<Message>(
    _ messages: [UnsafeMutablePointer<Message>]
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Message>?>? {
    values(messages.map(Optional.some))
  }

  /// A repeated field of numbers or bytes: an array of values. Nil for none.
  @inlinable
  public func values<Value: BitwiseCopyable>(_ values: [Value]) -> UnsafeMutablePointer<Value>? {
    guard !values.isEmpty else { return nil }
    let memory = allocateOrTrap(values.count * MemoryLayout<Value>.stride)
    let array = memory.bindMemory(to: Value.self, capacity: values.count)
    for (index, value) in values.enumerated() { (array + index).initialize(to: value) }
    return array
  }

  /// A repeated field of strings. Nil for none.
  public func texts(_ texts: [String]) -> UnsafeMutablePointer<ProtobufCBinaryData>? {
    values(texts.map { bytes($0) })
  }

  /// A message on the wire. Equal trees give equal bytes.
  public static func pack<Message>(_ message: UnsafePointer<Message>) -> [UInt8] {
    message.withMemoryRebound(to: ProtobufCMessage.self, capacity: 1) { base in
      let size = protobuf_c_message_get_packed_size(base)
      return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        count = protobuf_c_message_pack(base, buffer.baseAddress)
      }
    }
  }

  // MARK: Unpacking requests

  /// Reads a message from bytes of anywhere, lends it to `body`, and takes its memory back.
  ///
  /// - Parameters:
  ///   - bytes: the message on the wire.
  ///   - unpack: the generated `..._unpack` function.
  ///   - limit: how much memory it may take.
  /// - Throws: ``ProtobufError``, or what `body` throws.
  public func withUnpacked<Message, Result>(
    _ bytes: UnsafeRawBufferPointer,
    by unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<
      Message
    >?,
    limit: Int = ProtobufArena.requestLimit,
    _ body: (UnsafePointer<Message>) throws -> Result
  ) throws -> Result {
    let mark = Mark(chunk: chunks.count - 1, used: used, total: total)
    defer { rewind(to: mark) }
    return try body(try self.unpack(bytes, by: unpack, limit: limit))
  }

  /// Reads a message from bytes of anywhere; good until ``reset()``.
  public func unpack<Message>(
    _ bytes: UnsafeRawBufferPointer,
    by unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<
      Message
    >?,
    limit: Int = ProtobufArena.requestLimit
  ) throws(ProtobufError) -> UnsafePointer<Message> {
    let outer = ceiling
    ceiling = min(outer, limit > Int.max - total ? Int.max : total + limit)
    wasRefused = false
    defer { ceiling = outer }
    guard let message = unpack(allocator, bytes.count, bytes.bindMemory(to: UInt8.self).baseAddress) else {
      throw wasRefused ? .tooLarge(limit: limit) : .malformed
    }
    return UnsafePointer(message)
  }

  // MARK: Beneath

  private struct Mark {
    let chunk: Int
    let used: Int
    let total: Int
  }

  private func rewind(to mark: Mark) {
    if chunks.count > mark.chunk + 1 {
      while chunks.count > mark.chunk + 1 { chunks.removeLast().deallocate() }
      noteLast()
    }
    used = mark.used
    total = mark.total
  }

  private func noteLast() {
    guard let chunk = chunks.last, let start = chunk.baseAddress else { return }
    last = start
    lastSize = chunk.count
  }

  /// What we build ourselves has no limit but the machine's.
  @usableFromInline
  func allocateOrTrap(_ size: Int) -> UnsafeMutableRawPointer {
    guard let memory = allocate(size) else { preconditionFailure("building has no limit") }
    return memory
  }

  fileprivate func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    // A size near the largest number would overflow when rounded up.
    guard size >= 0, size < Int.max / 2 else {
      wasRefused = true
      return nil
    }
    let rounded = (max(size, 1) + Self.alignment - 1) & ~(Self.alignment - 1)
    guard rounded <= ceiling - total else {
      wasRefused = true
      return nil
    }
    if rounded > lastSize - used {
      let step = min(lastSize * 2, Self.largestStep)
      chunks.append(.allocate(byteCount: max(step, rounded), alignment: Self.alignment))
      noteLast()
      used = 0
    }
    let memory = last + used
    used += rounded
    total += rounded
    return memory
  }
}

/// Why a message could not be read.
public enum ProtobufError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The bytes are no message of the type.
  case malformed
  /// Unpacked, it would take more memory than allowed.
  case tooLarge(limit: Int)

  public var description: String {
    switch self {
    case .malformed: "is not a valid protobuf message of its type"
    case .tooLarge(let limit): "needs more than \(limit) bytes of memory"
    }
  }
}

private func allocateForC(_ arena: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
  guard let arena else { return nil }
  return Unmanaged<ProtobufArena>.fromOpaque(arena).takeUnretainedValue().allocate(size)
}

/// The arena takes everything back at once.
private func freeForC(_ arena: UnsafeMutableRawPointer?, _ memory: UnsafeMutableRawPointer?) {}
