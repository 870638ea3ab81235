// SPDX-License-Identifier: Apache-2.0
/// The frame of a reply of the fast path: status OK, the last reply of its call, without metadata. Nearly all replies
/// are of this kind.
struct PlainReplyFrame {
  private let id: UInt32
  private let payload: Int
  /// Number of bytes of the `Reply` within the frame.
  private let body: Int
  /// Number of bytes of the frame with its length prefix.
  let count: Int

  @inline(__always)
  init(id: UInt32, payload: Int) {
    self.id = id
    self.payload = payload
    body = payload == 0 ? 0 : 1 + varintSize(UInt64(payload)) + payload
    count =
      FramedLimits.prefixBytes + (id == 0 ? 0 : 1 + varintSize(UInt64(id))) + 1 + varintSize(UInt64(body)) + body
  }

  /// Maximum number of bytes that the frame adds to its payload: a length prefix, a call_id, two lengths and their
  /// tags.
  static let maximumBytes = 32

  /// Writes the frame up to the end of the payload's `head`. The rest of the payload must follow.
  @inline(__always)
  func write(head: UnsafeRawBufferPointer, to place: inout UnsafeMutableRawPointer) {
    place.storeBytes(of: UInt32(truncatingIfNeeded: count - FramedLimits.prefixBytes).bigEndian, as: UInt32.self)
    place += FramedLimits.prefixBytes
    if id != 0 { Self.field(0x08, Int(id), to: &place) }
    Self.field(0x1a, body, to: &place)
    if payload > 0 { Self.field(0x22, payload, to: &place) }
    guard let start = head.baseAddress else { return }
    place.copyMemory(from: start, byteCount: head.count)
    place += head.count
  }

  @inline(__always)
  private static func field(_ tag: UInt8, _ value: Int, to place: inout UnsafeMutableRawPointer) {
    place.storeBytes(of: tag, as: UInt8.self)
    place += 1
    var rest = value
    while rest >= 0x80 {
      place.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
      place += 1
      rest >>= 7
    }
    place.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
    place += 1
  }
}
