// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

/// Splits the bytes of a request or a reply into messages. Each message has a prefix of five bytes: the compressed flag
/// and the length. A length above the limit is rejected before any byte after the prefix is received.
struct GRPCMessageDecoder {
  static let prefixBytes = 5

  /// The prefix of a message with this number of bytes.
  static func prefix(_ count: Int) -> [UInt8] {
    [0] + withUnsafeBytes(of: UInt32(count).bigEndian) { Array($0) }
  }

  private var buffer: [UInt8] = []
  /// The index of the next message's prefix in `buffer`.
  private var start = 0
  /// Number of messages found since the beginning.
  private(set) var messageCount = 0

  /// Whether there are bytes that do not form a complete message.
  var hasRest: Bool { start < buffer.count }

  /// Number of bytes of memory that are held.
  var byteCount: Int { buffer.isEmpty ? 0 : buffer.capacity }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    buffer.append(contentsOf: bytes)
  }

  /// The range of the next message, if it is complete. It is valid until the next `append` or `dropRead`.
  mutating func next(limit: Int) throws(RPCStatus) -> Range<Int>? {
    guard buffer.count - start >= Self.prefixBytes else { return nil }
    let flag = buffer[start]
    guard flag == 0 else {
      throw RPCStatus(
        .malformedFraming,
        flag == 1
          ? "a message is marked as compressed, and the call has no grpc-encoding"
          : "a message begins with the byte \(flag), which must be 0")
    }
    let length = buffer[(start + 1)..<(start + Self.prefixBytes)].reduce(0) { $0 << 8 | Int($1) }
    guard length <= limit else {
      throw RPCStatus(
        .messageTooLarge, "a message of \(length) bytes; the limit is \(limit)", metadata: ["maximum": "\(limit)"])
    }
    let first = start + Self.prefixBytes
    guard buffer.count - first >= length else { return nil }
    start = first + length
    messageCount += 1
    return first..<start
  }

  /// Passes the bytes of a message to `body`. They are valid during the call only.
  func withMessage<Result>(_ place: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    buffer.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[place])) }
  }

  /// Removes the messages that have been read.
  mutating func dropRead() {
    buffer.removeFirst(start)
    start = 0
  }

  /// Resets the decoder. The storage is kept if its capacity does not exceed `limit` bytes.
  mutating func reset(keepingCapacity limit: Int) {
    buffer.removeAll(keepingCapacity: buffer.capacity <= limit)
    start = 0
    messageCount = 0
  }
}
