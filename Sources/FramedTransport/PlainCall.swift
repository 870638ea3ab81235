/// A frame that is a call with a method, a short request and perhaps a timeout, as nearly every client writes it: each
/// field once, in order of their numbers. Read where it lies, in one go; whatever looks otherwise is for
/// ``FrameDecoder`` to read or to refuse.
struct PlainCall {
  /// Of the frame, with its prefix.
  let count: Int
  let id: UInt32
  let method: UnsafeRawBufferPointer
  let request: UnsafeRawBufferPointer

  init?(_ bytes: UnsafeRawBufferPointer, limit: Int) {
    guard bytes.count >= Limits.prefixBytes, let start = bytes.baseAddress else { return nil }
    let length = Int(UInt32(bigEndian: start.loadUnaligned(as: UInt32.self)))
    count = Limits.prefixBytes + length
    guard length <= limit, count <= bytes.count else { return nil }
    var walk = Walk(place: start + Limits.prefixBytes, end: start + count)
    guard walk.skips(0x08), let id = walk.varint(), let id = UInt32(exactly: id), walk.skips(0x12),
      let call = walk.varint(), call == walk.end - walk.place, walk.skips(0x0a),
      let method = walk.shortRun(), walk.skips(0x12), let request = walk.shortRun()
    else { return nil }
    // A plain call is answered before any timeout.
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

  /// Whether the next byte is this one, which is passed then.
  @inline(__always)
  mutating func skips(_ byte: UInt8) -> Bool {
    guard place < end, place.load(as: UInt8.self) == byte else { return false }
    place += 1
    return true
  }

  /// A number below 2 to the 35th.
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

  /// A run of 1 to 127 bytes behind its length.
  @inline(__always)
  mutating func shortRun() -> UnsafeRawBufferPointer? {
    guard place < end else { return nil }
    let length = Int(place.load(as: UInt8.self))
    guard length > 0, length < 0x80, end - place > length else { return nil }
    defer { place += 1 + length }
    return UnsafeRawBufferPointer(start: place + 1, count: length)
  }
}
