// SPDX-License-Identifier: Apache-2.0
/// A frame with a call that has a method, a short request, perhaps a timeout, and nothing else. Each field occurs once,
/// in order of the field numbers, as nearly all clients encode it.
///
/// It is decoded in place, in one pass. Any other encoding is left to ``FrameDecoder``, which decodes or rejects it.
struct PlainCall {
  /// Number of bytes of the frame, with its length prefix.
  let count: Int
  let id: UInt32
  let method: UnsafeRawBufferPointer
  let request: UnsafeRawBufferPointer

  init?(_ bytes: UnsafeRawBufferPointer, limit: Int) {
    guard bytes.count >= FramedLimits.prefixBytes, let start = bytes.baseAddress else { return nil }
    let length = Int(UInt32(bigEndian: start.loadUnaligned(as: UInt32.self)))
    count = FramedLimits.prefixBytes + length
    guard length <= limit, count <= bytes.count else { return nil }
    var walk = Walk(place: start + FramedLimits.prefixBytes, end: start + count)
    guard walk.skips(0x08), let id = walk.varint(), let id = UInt32(exactly: id), walk.skips(0x12),
      let call = walk.varint(), call == walk.end - walk.place, walk.skips(0x0a),
      let method = walk.shortRun(), walk.skips(0x12), let request = walk.shortRun()
    else { return nil }
    // The timeout is ignored: the fast path answers a call before any timeout can pass.
    if walk.place != walk.end {
      guard walk.skips(0x18), walk.varint() != nil, walk.place == walk.end else { return nil }
    }
    self.id = id
    self.method = method
    self.request = request
  }
}

private struct Walk {
  var place: UnsafeRawPointer
  let end: UnsafeRawPointer

  /// Returns whether the next byte has this value, and skips it in this case.
  @inline(__always)
  mutating func skips(_ byte: UInt8) -> Bool {
    guard place < end, place.load(as: UInt8.self) == byte else { return false }
    place += 1
    return true
  }

  /// Reads a number below 2 to the power of 35; nil if there is none.
  @inline(__always)
  mutating func varint() -> Int? {
    var value = 0
    var shift = 0
    while place < end, shift < 35 {
      let byte = place.load(as: UInt8.self)
      place += 1
      value |= Int(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }

  /// Reads a length and the 1 to 127 bytes that follow it; nil if there is no such field.
  @inline(__always)
  mutating func shortRun() -> UnsafeRawBufferPointer? {
    guard place < end else { return nil }
    let length = Int(place.load(as: UInt8.self))
    guard length > 0, length < 0x80, end - place > length else { return nil }
    defer { place += 1 + length }
    return UnsafeRawBufferPointer(start: place + 1, count: length)
  }
}
