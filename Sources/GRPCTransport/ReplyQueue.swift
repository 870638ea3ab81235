/// The messages of a reply that the client's window has not taken yet, each behind its prefix.
///
/// A message's bytes are referred to, not copied: most are those of a document, shared with every other reply.
struct ReplyQueue {
  private struct Message {
    let prefixCount: Int
    let head: [UInt8]
    let body: [UInt8]

    /// Bytes that it takes and shares with no other reply.
    var ownCount: Int { head.capacity + Limits.queuedMessageBytes }
    var count: Int { prefixCount + head.count + body.count }
  }

  private var messages: [Message] = []
  /// Messages that are gone, at the front of `messages`.
  private var first = 0
  /// Bytes of the first message that are gone.
  private var offset = 0
  /// Bytes that wait.
  private(set) var byteCount = 0
  /// Bytes of memory that belong to this reply alone.
  private(set) var ownByteCount = 0

  var isEmpty: Bool { byteCount == 0 }
  /// Whether a message has been begun and not ended.
  var isWithinMessage: Bool { offset > 0 }

  /// Adds a message of gRPC, or the plain text of an answer by HTTP.
  mutating func append(_ head: [UInt8], _ body: [UInt8], isMessage: Bool = true) {
    let message = Message(prefixCount: isMessage ? GRPCMessageDecoder.prefixBytes : 0, head: head, body: body)
    messages.append(message)
    byteCount += message.count
    ownByteCount += message.ownCount
  }

  /// Moves the next bytes, as many as there is room for, out of the queue. There must be so many.
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
      // Nearly always one: quicker than to replace them all by none.
      while !messages.isEmpty { messages.removeLast() }
    } else {
      messages = []
    }
    first = 0
    offset = 0
    byteCount = 0
    ownByteCount = 0
  }

  /// Copies from `offset` on; says how much.
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
