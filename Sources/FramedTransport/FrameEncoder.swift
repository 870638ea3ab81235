// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC

/// Encodes frames. The length of each part is computed before its first byte is written, so each frame is written once,
/// into memory of exactly its size.
enum FrameEncoder {
  /// A `Reply`. Its payload is passed separately, as `head` followed by `body`.
  struct Reply {
    var callID: UInt32
    var status: RPCStatus
    var more: Bool
  }

  /// Number of bytes of a reply's frame and of its parts.
  struct ReplySizes {
    fileprivate let message: Int
    /// The encoded field `details`; empty for a success.
    fileprivate let details: [UInt8]
    fileprivate let payload: Int
    fileprivate let body: Int
    fileprivate let frame: Int
    /// Number of bytes of the frame with its length prefix.
    let total: Int
  }

  static func sizes(_ reply: Reply, payload: Int, metadata: RPCMetadata) -> ReplySizes {
    let message = reply.status.message.utf8.count
    var body = 0
    var details: [UInt8] = []
    if reply.status.code != .ok {
      body += 1 + varintSize(UInt64(reply.status.code.rawValue))
      reply.status.details?.encode(field: DecodedReply.detailsField, to: &details)
      body += details.count
    }
    body += fieldSize(message) + (reply.more ? 2 : 0) + fieldSize(payload)
    for pair in metadata.pairs {
      let size = pairSize(pair)
      body += 1 + varintSize(UInt64(size)) + size
    }
    let frame = callIDSize(reply.callID) + 1 + varintSize(UInt64(body)) + body
    return ReplySizes(
      message: message, details: details, payload: payload, body: body, frame: frame,
      total: FramedLimits.prefixBytes + frame)
  }

  /// Writes the frame into `room`, which has `sizes.total` bytes.
  static func write(
    _ reply: Reply, _ sizes: ReplySizes, head: borrowing [UInt8], body: borrowing [UInt8], metadata: RPCMetadata,
    into room: UnsafeMutableRawBufferPointer
  ) {
    var writer = WireWriter(room)
    writer.prefix(sizes.frame)
    writer.callID(reply.callID)
    writer.tag(3, .bytes)
    writer.varint(UInt64(sizes.body))
    if reply.status.code != .ok {
      writer.tag(1, .varint)
      writer.varint(UInt64(reply.status.code.rawValue))
    }
    writer.string(2, reply.status.message, count: sizes.message)
    if reply.more {
      writer.tag(3, .varint)
      writer.varint(1)
    }
    if sizes.payload > 0 {
      writer.tag(4, .bytes)
      writer.varint(UInt64(sizes.payload))
      writer.raw(head)
      writer.raw(body)
    }
    writer.pairs(5, metadata)
    if reply.status.code != .ok { writer.raw(sizes.details) }
    precondition(writer.isFull, "a reply's size and its bytes differ")
  }

  /// Encodes the frame of a `Call`, with its length prefix.
  static func call(
    id: UInt32, method: String, request: [UInt8], timeout: Duration?, metadata: RPCMetadata
  ) -> [UInt8] {
    // The field has 32 bits, and 0 stands for no timeout.
    let timeout = timeout.map { UInt64(min(max(1, $0.milliseconds), Int64(UInt32.max))) }
    var body = fieldSize(method.utf8.count) + fieldSize(request.count)
    if let timeout { body += 1 + varintSize(timeout) }
    for pair in metadata.pairs {
      let size = pairSize(pair)
      body += 1 + varintSize(UInt64(size)) + size
    }
    let frame = callIDSize(id) + 1 + varintSize(UInt64(body)) + body
    return bytes(FramedLimits.prefixBytes + frame) { writer in
      writer.prefix(frame)
      writer.callID(id)
      writer.tag(2, .bytes)
      writer.varint(UInt64(body))
      writer.string(1, method, count: method.utf8.count)
      if !request.isEmpty {
        writer.tag(2, .bytes)
        writer.varint(UInt64(request.count))
        writer.raw(request)
      }
      if let timeout {
        writer.tag(3, .varint)
        writer.varint(timeout)
      }
      writer.pairs(4, metadata)
    }
  }

  /// Encodes the frame of a `Cancel`, with its length prefix.
  static func cancel(id: UInt32) -> [UInt8] {
    let frame = callIDSize(id) + 2
    return bytes(FramedLimits.prefixBytes + frame) { writer in
      writer.prefix(frame)
      writer.callID(id)
      writer.tag(4, .bytes)
      writer.varint(0)
    }
  }

  /// Number of bytes of the frame of a `Ping` (field 5) or a `Pong` (field 6), with its length prefix.
  static func nonceSize(_ nonce: UInt64) -> Int {
    FramedLimits.prefixBytes + 2 + (nonce == 0 ? 0 : 1 + varintSize(nonce))
  }

  /// Writes a `Ping` or a `Pong` into `room`, which has ``nonceSize(_:)`` bytes.
  static func writeNonce(_ nonce: UInt64, field: UInt32, into room: UnsafeMutableRawBufferPointer) {
    var writer = WireWriter(room)
    let body = nonce == 0 ? 0 : 1 + varintSize(nonce)
    writer.prefix(2 + body)
    writer.tag(field, .bytes)
    writer.varint(UInt64(body))
    if nonce != 0 {
      writer.tag(1, .varint)
      writer.varint(nonce)
    }
    precondition(writer.isFull, "a nonce's size and its bytes differ")
  }

  static func ping(_ nonce: UInt64) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: nonceSize(nonce))
    result.withUnsafeMutableBytes { writeNonce(nonce, field: 5, into: $0) }
    return result
  }

  /// Encodes the frame of a `GoAway`, with its length prefix.
  static func goAway(_ reason: String) -> [UInt8] {
    let body = fieldSize(reason.utf8.count)
    let frame = 1 + varintSize(UInt64(body)) + body
    return bytes(FramedLimits.prefixBytes + frame) { writer in
      writer.prefix(frame)
      writer.tag(7, .bytes)
      writer.varint(UInt64(body))
      writer.string(1, reason, count: reason.utf8.count)
    }
  }

  private static func bytes(_ count: Int, _ write: (inout WireWriter) -> Void) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      var writer = WireWriter(UnsafeMutableRawBufferPointer(buffer))
      write(&writer)
      initialized = writer.count
      precondition(writer.count == count, "a frame's size and its bytes differ")
    }
  }

  private static func callIDSize(_ id: UInt32) -> Int { id == 0 ? 0 : 1 + varintSize(UInt64(id)) }

  /// Number of bytes of a field with a string or a byte string and a number below 16. An empty value is omitted.
  private static func fieldSize(_ count: Int) -> Int { count == 0 ? 0 : 1 + varintSize(UInt64(count)) + count }

  fileprivate static func pairSize(_ pair: RPCMetadata.Pair) -> Int {
    fieldSize(pair.key.utf8.count) + fieldSize(pair.value.utf8.count)
  }
}

@inline(__always)
func varintSize(_ value: UInt64) -> Int {
  // This is the number of bits divided by 7 and rounded up, without a division.
  ((63 - (value | 1).leadingZeroBitCount) * 9 + 73) >> 6
}

/// Writes the parts of a protobuf message one after the other.
private struct WireWriter {
  private let room: UnsafeMutableRawBufferPointer
  private(set) var count = 0

  /// The memory that has not been written yet.
  private var rest: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: room.baseAddress.map { $0 + count }, count: room.count - count)
  }

  init(_ room: UnsafeMutableRawBufferPointer) {
    self.room = room
  }

  var isFull: Bool { count == room.count }

  mutating func prefix(_ length: Int) {
    room.storeBytes(of: UInt32(length).bigEndian, toByteOffset: count, as: UInt32.self)
    count += FramedLimits.prefixBytes
  }

  mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      room[count] = UInt8(truncatingIfNeeded: value) | 0x80
      count += 1
      value >>= 7
    }
    room[count] = UInt8(truncatingIfNeeded: value)
    count += 1
  }

  /// Writes a tag. `field` must be below 16.
  mutating func tag(_ field: UInt32, _ type: WireReader.WireType) {
    room[count] = UInt8(field) << 3 | type.rawValue
    count += 1
  }

  mutating func callID(_ id: UInt32) {
    guard id != 0 else { return }
    tag(1, .varint)
    varint(UInt64(id))
  }

  mutating func raw(_ bytes: borrowing [UInt8]) {
    bytes.withUnsafeBytes { source in
      rest.copyMemory(from: source)
      count += source.count
    }
  }

  /// Writes a string field. An empty string is omitted.
  mutating func string(_ field: UInt32, _ text: String, count length: Int) {
    guard length > 0 else { return }
    tag(field, .bytes)
    varint(UInt64(length))
    var text = text
    text.withUTF8 { source in
      rest.copyMemory(from: UnsafeRawBufferPointer(source))
      count += source.count
    }
  }

  mutating func pairs(_ field: UInt32, _ metadata: RPCMetadata) {
    for pair in metadata.pairs {
      tag(field, .bytes)
      varint(UInt64(FrameEncoder.pairSize(pair)))
      string(1, pair.key, count: pair.key.utf8.count)
      string(2, pair.value, count: pair.value.utf8.count)
    }
  }
}
