internal import RPC

/// Takes the bytes of a request or a reply apart into messages: each has a prefix of five bytes, whether it is
/// compressed and how long it is. The length is refused before a byte behind the prefix is awaited.
struct GRPCMessageDecoder {
  static let prefixBytes = 5

  /// Of a message of so many bytes.
  static func prefix(_ count: Int) -> [UInt8] {
    [0] + withUnsafeBytes(of: UInt32(count).bigEndian) { Array($0) }
  }

  private var buffer: [UInt8] = []
  /// Where the next message's prefix is.
  private var start = 0
  /// Messages found so far.
  private(set) var messageCount = 0

  /// Whether bytes are left over that make no whole message.
  var hasRest: Bool { start < buffer.count }

  /// Bytes of memory that are held.
  var byteCount: Int { buffer.isEmpty ? 0 : buffer.capacity }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    buffer.append(contentsOf: bytes)
  }

  /// The place of the next message, if it has come whole. It is good until the next `append` or `dropRead`.
  mutating func next(limit: Int) throws(RPCStatus) -> Range<Int>? {
    guard buffer.count - start >= Self.prefixBytes else { return nil }
    let flag = buffer[start]
    guard flag == 0 else {
      throw RPCStatus(
        .internalError,
        flag == 1
          ? "a message is marked as compressed, and the call has no grpc-encoding"
          : "a message begins with the byte \(flag), which must be 0")
    }
    let length = buffer[(start + 1)..<(start + Self.prefixBytes)].reduce(0) { $0 << 8 | Int($1) }
    guard length <= limit else {
      throw RPCStatus(.resourceExhausted, "a message of \(length) bytes; the limit is \(limit)")
    }
    let first = start + Self.prefixBytes
    guard buffer.count - first >= length else { return nil }
    start = first + length
    messageCount += 1
    return first..<start
  }

  /// Lends the bytes of a message.
  func withMessage<Result>(_ place: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    buffer.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[place])) }
  }

  /// Forgets the messages that have been read.
  mutating func dropRead() {
    buffer.removeFirst(start)
    start = 0
  }

  /// Back to the beginning, with the storage unless it has grown.
  mutating func reset(keepingCapacity limit: Int) {
    buffer.removeAll(keepingCapacity: buffer.capacity <= limit)
    start = 0
    messageCount = 0
  }
}
