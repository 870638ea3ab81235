// SPDX-License-Identifier: Apache-2.0
public import CConfigLookupProto

/// An arena for trees of protobuf-c messages: memory is allocated piece by piece and released all at once.
///
/// For replies, it builds messages from Swift (``make(_:_:)``, ``bytes(_:)``, ``pointers(_:)``, ``values(_:)``,
/// ``pack(_:)``). For requests, it is the bounded allocator that protobuf-c unpacks into
/// (``withUnpacked(_:by:limit:_:)``). The first chunk is kept and reused, so small messages need no call of the
/// system's allocator. Pointers are valid until ``reset()``. Only one thread at a time may use an arena.
public final class ProtobufArena {
  /// The size of the first chunk in bytes, which suffices for an unpacked request of usual size, or for a document of
  /// some KiB.
  public static let firstChunkSize = 16 * 1024
  /// The maximum memory of one request in bytes: protobuf-c needs up to 40 times the size of a message of unknown
  /// fields.
  public static let requestLimit = 1024 * 1024

  /// The alignment of `malloc`, which is right for every C type.
  private static let alignment = 16
  private static let largestStep = 256 * 1024

  private var chunks: [UnsafeMutableRawBufferPointer]
  /// The number of bytes that are allocated from the last chunk. The next properties are the last chunk's start and
  /// size.
  private var used = 0
  private var last: UnsafeMutableRawPointer
  private var lastSize: Int
  /// The number of bytes that are allocated since the last reset, rounded up.
  private var total = 0
  /// The maximum of ``total``.
  private var ceiling = Int.max
  /// Whether an allocation has been refused since the flag was last cleared.
  private var wasRefused = false
  /// The C allocator of this arena, at a stable address.
  private let allocator: UnsafeMutablePointer<ProtobufCAllocator>

  /// Creates an arena with its first chunk.
  public init() {
    last = .allocate(byteCount: Self.firstChunkSize, alignment: Self.alignment)
    lastSize = Self.firstChunkSize
    chunks = [UnsafeMutableRawBufferPointer(start: last, count: lastSize)]
    allocator = .allocate(capacity: 1)
    allocator.initialize(to: ProtobufCAllocator(alloc: allocateForC, free: freeForC, allocator_data: nil))
    // Unretained: the allocator is released together with self.
    allocator.pointee.allocator_data = Unmanaged.passUnretained(self).toOpaque()
  }

  deinit {
    for chunk in chunks { chunk.deallocate() }
    allocator.deallocate()
  }

  /// Releases all memory except the first chunk. All pointers become invalid.
  public func reset() {
    rewind(to: Mark(chunk: 0, used: 0, total: 0))
  }

  /// The number of allocated bytes.
  package var bytesInUse: Int { total }
  /// The number of chunks; 1 if the first chunk sufficed.
  package var chunkCount: Int { chunks.count }

  // MARK: Building messages

  /// Creates a C message.
  ///
  /// - Parameters:
  ///   - initialize: the generated `..._init` function.
  ///   - fill: sets the fields of the message.
  /// - Returns: the message, valid until ``reset()``.
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

  /// Copies the UTF-8 of a string.
  ///
  /// - Parameter text: the string.
  /// - Returns: the copy, valid until ``reset()``.
  public func bytes(_ text: String) -> ProtobufCBinaryData {
    var text = text
    return text.withUTF8 { bytes(UnsafeRawBufferPointer($0)) }
  }

  /// Copies bytes.
  ///
  /// - Parameter source: the bytes.
  /// - Returns: the copy, valid until ``reset()``.
  public func bytes(_ source: UnsafeRawBufferPointer) -> ProtobufCBinaryData {
    guard !source.isEmpty else { return ProtobufCBinaryData(len: 0, data: nil) }
    let memory = allocateOrTrap(source.count)
    memory.copyMemory(from: source.baseAddress ?? UnsafeRawPointer(memory), byteCount: source.count)
    return ProtobufCBinaryData(len: source.count, data: memory.bindMemory(to: UInt8.self, capacity: source.count))
  }

  /// Copies bytes.
  ///
  /// - Parameter source: the bytes.
  /// - Returns: the copy, valid until ``reset()``.
  public func bytes(_ source: [UInt8]) -> ProtobufCBinaryData {
    source.withUnsafeBytes { bytes($0) }
  }

  /// Makes a repeated field of messages.
  ///
  /// - Parameter messages: the messages, allocated from this arena.
  /// - Returns: an array of pointers, valid until ``reset()``; nil for no messages.
  @inlinable
  public func pointers<Message>(
    _ messages: [UnsafeMutablePointer<Message>]
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Message>?>? {
    values(messages.map(Optional.some))
  }

  /// Makes a repeated field of numbers or bytes.
  ///
  /// - Parameter values: the values.
  /// - Returns: an array of values, valid until ``reset()``; nil for no values.
  @inlinable
  public func values<Value: BitwiseCopyable>(_ values: [Value]) -> UnsafeMutablePointer<Value>? {
    guard !values.isEmpty else { return nil }
    let memory = allocateOrTrap(values.count * MemoryLayout<Value>.stride)
    let array = memory.bindMemory(to: Value.self, capacity: values.count)
    for (index, value) in values.enumerated() { (array + index).initialize(to: value) }
    return array
  }

  /// Makes a repeated field of strings.
  ///
  /// - Parameter texts: the strings.
  /// - Returns: an array of copies, valid until ``reset()``; nil for no strings.
  public func texts(_ texts: [String]) -> UnsafeMutablePointer<ProtobufCBinaryData>? {
    values(texts.map { bytes($0) })
  }

  /// Encodes a message. Equal messages have equal bytes.
  ///
  /// - Parameter message: a generated protobuf-c message.
  /// - Returns: the encoded message.
  public static func pack<Message>(_ message: UnsafePointer<Message>) -> [UInt8] {
    message.withMemoryRebound(to: ProtobufCMessage.self, capacity: 1) { base in
      let size = protobuf_c_message_get_packed_size(base)
      return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        count = protobuf_c_message_pack(base, buffer.baseAddress)
      }
    }
  }

  // MARK: Unpacking requests

  /// Decodes a message from untrusted bytes, calls a closure with it, and releases its memory.
  ///
  /// - Parameters:
  ///   - bytes: the encoded message.
  ///   - unpack: the generated `..._unpack` function.
  ///   - limit: the maximum memory of the decoded message, in bytes.
  ///   - body: the closure. The message must not outlive the call.
  /// - Returns: the closure's result.
  /// - Throws: ``ProtobufError``, or the closure's error.
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

  /// Decodes a message from untrusted bytes.
  ///
  /// - Parameters:
  ///   - bytes: the encoded message.
  ///   - unpack: the generated `..._unpack` function.
  ///   - limit: the maximum memory of the decoded message, in bytes.
  /// - Returns: the message, valid until ``reset()``.
  /// - Throws: ``ProtobufError`` if the bytes are malformed or the limit is exceeded.
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

  // MARK: Private

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

  /// Allocates memory for messages that the program itself builds, which are limited only by the machine's memory.
  @usableFromInline
  func allocateOrTrap(_ size: Int) -> UnsafeMutableRawPointer {
    guard let memory = allocate(size) else { preconditionFailure("building has no limit") }
    return memory
  }

  fileprivate func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    // A size near the maximum would overflow when it is rounded up.
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

/// The reason why a message could not be decoded.
public enum ProtobufError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The bytes are not a valid message of the type.
  case malformed
  /// The decoded message would exceed the memory limit, in bytes.
  case tooLarge(limit: Int)

  /// The reason, which continues a sentence that begins with the name of the bytes.
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

/// Does nothing, because the arena releases all memory at once.
private func freeForC(_ arena: UnsafeMutableRawPointer?, _ memory: UnsafeMutableRawPointer?) {}
