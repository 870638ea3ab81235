// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

/// Decodes the envelope of the framed protocol in place: nothing is copied, and decoding a valid frame allocates no
/// memory.
///
/// The rules are those of protobuf: unknown fields are skipped, and if a field or a body occurs more than once, the
/// last one counts. Every nested message is read to its end, so that a malformed one is found even if its value is not
/// used.
enum FrameDecoder {
  /// The result of reading a length prefix.
  enum Prefix: Equatable {
    /// The four bytes of the length have not all been received.
    case incomplete
    /// A frame with this number of bytes follows the prefix.
    case frame(Int)
  }

  /// Reads the length prefix of a frame. An invalid length is rejected before any byte after the prefix is received.
  static func prefix(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(FrameError) -> Prefix {
    guard bytes.count >= FramedLimits.prefixBytes else { return .incomplete }
    let length = Int(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
    guard length > 0 else { throw FrameError("an empty frame") }
    guard length <= limit else {
      let guess = guess(bytes)
      throw FrameError("a frame of \(length) bytes; the limit is \(limit)\(guess)", isTooLong: guess.isEmpty)
    }
    return .frame(length)
  }

  /// Decodes the bytes that follow a length prefix.
  static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> DecodedFrame {
    var frame = DecodedFrame()
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      let (number, type) = try reader.tag()
      switch number {
      case 1: frame.callID = UInt32(truncatingIfNeeded: try reader.varint(type, of: "call_id"))
      case 2: frame.body = .call(try call(reader.lengthDelimited(type, of: "call")))
      case 3: frame.body = .reply(try reply(reader.lengthDelimited(type, of: "reply")))
      case 4:
        try skipAll(reader.lengthDelimited(type, of: "cancel"))
        frame.body = .cancel
      case 5: frame.body = .ping(nonce: try nonce(reader.lengthDelimited(type, of: "ping")))
      case 6: frame.body = .pong(nonce: try nonce(reader.lengthDelimited(type, of: "pong")))
      case 7: frame.body = .goAway(reason: try reason(reader.lengthDelimited(type, of: "go_away")))
      default: try reader.skip(type)
      }
    }
    return frame
  }

  private static func call(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> DecodedCall {
    var call = DecodedCall()
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      let (number, type) = try reader.tag()
      switch number {
      case 1: call.method = try reader.lengthDelimited(type, of: "method")
      case 2: call.request = try reader.lengthDelimited(type, of: "request")
      case 3: call.timeoutMilliseconds = UInt32(truncatingIfNeeded: try reader.varint(type, of: "timeout_ms"))
      case 4:
        _ = try pair(reader.lengthDelimited(type, of: "metadata"))
        call.metadata.count += 1
      default: try reader.skip(type)
      }
    }
    call.metadata.message = bytes
    call.metadata.field = 4
    return call
  }

  private static func reply(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> DecodedReply {
    var reply = DecodedReply()
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      let (number, type) = try reader.tag()
      switch number {
      case 1: reply.status = UInt32(truncatingIfNeeded: try reader.varint(type, of: "status"))
      case 2: reply.message = try reader.lengthDelimited(type, of: "message")
      case 3: reply.more = try reader.varint(type, of: "more") != 0
      case 4: reply.payload = try reader.lengthDelimited(type, of: "payload")
      case 5:
        _ = try pair(reader.lengthDelimited(type, of: "metadata"))
        reply.metadata.count += 1
      case DecodedReply.detailsField: try checkAny(reader.lengthDelimited(type, of: "details"))
      default: try reader.skip(type)
      }
    }
    reply.bytes = bytes
    reply.metadata.message = bytes
    reply.metadata.field = 5
    return reply
  }

  /// Reads a `google.protobuf.Any` to its end.
  private static func checkAny(_ bytes: UnsafeRawBufferPointer) throws(FrameError) {
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      let (number, type) = try reader.tag()
      switch number {
      case 1: _ = try reader.lengthDelimited(type, of: "type_url")
      case 2: _ = try reader.lengthDelimited(type, of: "value")
      default: try reader.skip(type)
      }
    }
  }

  private static func nonce(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> UInt64 {
    var nonce: UInt64 = 0
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      let (number, type) = try reader.tag()
      if number == 1 { nonce = try reader.varint(type, of: "nonce") } else { try reader.skip(type) }
    }
    return nonce
  }

  private static func reason(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> UnsafeRawBufferPointer {
    var reason = UnsafeRawBufferPointer(start: nil, count: 0)
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      let (number, type) = try reader.tag()
      if number == 1 { reason = try reader.lengthDelimited(type, of: "reason") } else { try reader.skip(type) }
    }
    return reason
  }

  private static func skipAll(_ bytes: UnsafeRawBufferPointer) throws(FrameError) {
    var reader = WireReader(bytes)
    while !reader.isAtEnd { try reader.skip(reader.tag().type) }
  }

  /// Reads the key and the value of a `Metadata` message.
  static func pair(
    _ bytes: UnsafeRawBufferPointer
  ) throws(FrameError) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    var key = UnsafeRawBufferPointer(start: nil, count: 0)
    var value = key
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      let (number, type) = try reader.tag()
      switch number {
      case 1: key = try reader.lengthDelimited(type, of: "key")
      case 2: value = try reader.lengthDelimited(type, of: "value")
      default: try reader.skip(type)
      }
    }
    return (key, value)
  }

  /// A hint for clients that use another protocol on this port.
  private static func guess(_ bytes: UnsafeRawBufferPointer) -> String {
    if bytes[0] == 0x16, bytes[1] == 0x03 { return ". It looks like TLS, which this port does not serve" }
    if bytes.prefix(4).allSatisfy({ (0x41...0x5a).contains($0) || $0 == 0x20 }) {
      return ". It looks like HTTP/1, which this port does not serve"
    }
    return ""
  }
}
