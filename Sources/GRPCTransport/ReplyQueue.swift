// SPDX-License-Identifier: Apache-2.0
/// The messages of a reply that the client's window has not accepted yet, each with its prefix.
///
/// The bytes of a message are referenced, not copied: most are those of a document, shared with other replies.
struct ReplyQueue {
  private struct Message {
    let prefixCount: Int
    let head: [UInt8]
    let body: [UInt8]

    /// Number of bytes that the message takes and shares with no other reply.
    var ownCount: Int { head.capacity + GRPCLimits.queuedMessageBytes }
    var count: Int { prefixCount + head.count + body.count }
  }

  private var messages: [Message] = []
  /// Number of messages at the front of `messages` that have been taken.
  private var first = 0
  /// Number of bytes of the first remaining message that have been taken.
  private var offset = 0
  /// Number of bytes in the queue.
  private(set) var byteCount = 0
  /// Number of bytes of memory that belong to this reply alone.
  private(set) var ownByteCount = 0

  var isEmpty: Bool { byteCount == 0 }
  /// Whether a message has been taken in part.
  var isWithinMessage: Bool { offset > 0 }

  /// Adds a gRPC message, or the plain text of an answer by HTTP.
  mutating func append(_ head: [UInt8], _ body: [UInt8], isMessage: Bool = true) {
    let message = Message(prefixCount: isMessage ? GRPCMessageDecoder.prefixBytes : 0, head: head, body: body)
    messages.append(message)
    byteCount += message.count
    ownByteCount += message.ownCount
  }

  /// Moves the next bytes out of the queue and fills `room` with them. The queue must have enough bytes.
  mutating func take(into room: UnsafeMutableRawBufferPointer) {
    precondition(room.count <= byteCount)
    var filled = 0
    while filled < room.count {
      let message = messages[first]
      filled += copy(message, UnsafeMutableRawBufferPointer(rebasing: room[filled...]))
      guard offset == message.count else { break }
      ownByteCount -= message.ownCount
      offset = 0
      first += 1
    }
    byteCount -= room.count
    if byteCount == 0 { removeAll() } else if first > 64, first * 2 > messages.count { compact() }
  }

  mutating func removeAll() {
    if messages.capacity <= 16 {
      // There is nearly always one message: removing it is faster than replacing the array.
      while !messages.isEmpty { messages.removeLast() }
    } else {
      messages = []
    }
    first = 0
    offset = 0
    byteCount = 0
    ownByteCount = 0
  }

  /// Copies bytes from `offset` on. Returns their number.
  private mutating func copy(_ message: Message, _ room: UnsafeMutableRawBufferPointer) -> Int {
    var filled = 0
    if offset < message.prefixCount {
      let length = UInt32(message.head.count + message.body.count).bigEndian
      let prefix: (UInt8, UInt8, UInt8, UInt8, UInt8) = withUnsafeBytes(of: length) { (0, $0[0], $0[1], $0[2], $0[3]) }
      withUnsafeBytes(of: prefix) { filled += copy($0, from: offset, room) }
    }
    filled += part(message.head, startsAt: message.prefixCount, offset + filled, room, filled)
    filled += part(message.body, startsAt: message.prefixCount + message.head.count, offset + filled, room, filled)
    offset += filled
    return filled
  }

  private func part(
    _ bytes: [UInt8], startsAt start: Int, _ position: Int, _ room: UnsafeMutableRawBufferPointer, _ filled: Int
  ) -> Int {
    guard filled < room.count, position >= start, position < start + bytes.count else { return 0 }
    return bytes.withUnsafeBytes {
      copy($0, from: position - start, UnsafeMutableRawBufferPointer(rebasing: room[filled...]))
    }
  }

  private func copy(_ bytes: UnsafeRawBufferPointer, from: Int, _ room: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(bytes.count - from, room.count)
    room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[from..<(from + count)]))
    return count
  }

  private mutating func compact() {
    messages.removeFirst(first)
    first = 0
  }
}
