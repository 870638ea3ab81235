// SPDX-License-Identifier: Apache-2.0
/// An HTTP/2 frame, which may be invalid.
struct HTTP2Frame: Equatable {
  enum Kind: UInt8 {
    case data, headers, priority, resetStream, settings, pushPromise, ping, goAway, windowUpdate, continuation
  }

  static let endStream: UInt8 = 1
  static let acknowledgement: UInt8 = 1
  static let endHeaders: UInt8 = 4

  var kind: UInt8
  var flags: UInt8 = 0
  var stream: UInt32 = 0
  var payload: [UInt8] = []

  init(_ kind: Kind, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) {
    self.init(kind: kind.rawValue, flags: flags, stream: stream, payload)
  }

  init(kind: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) {
    self.kind = kind
    self.flags = flags
    self.stream = stream
    self.payload = payload
  }

  var bytes: [UInt8] {
    let length = bigEndian(UInt32(payload.count))
    return Array(length[1...]) + [kind, flags] + bigEndian(stream) + payload
  }

  static func settings(_ settings: [UInt16: UInt32] = [:]) -> HTTP2Frame {
    HTTP2Frame(.settings, settings.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] + bigEndian($1) })
  }

  static func headers(_ stream: UInt32, _ headers: [(String, String)], ends: Bool = false) -> HTTP2Frame {
    HTTP2Frame(.headers, flags: endHeaders | (ends ? endStream : 0), stream: stream, block(headers))
  }

  static func data(_ stream: UInt32, _ bytes: [UInt8], ends: Bool = false) -> HTTP2Frame {
    HTTP2Frame(.data, flags: ends ? endStream : 0, stream: stream, bytes)
  }

  static func reset(_ stream: UInt32) -> HTTP2Frame { HTTP2Frame(.resetStream, stream: stream, bigEndian(8)) }

  static func ping(_ payload: [UInt8], flags: UInt8 = 0) -> HTTP2Frame { HTTP2Frame(.ping, flags: flags, payload) }

  static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> HTTP2Frame {
    HTTP2Frame(.windowUpdate, stream: stream, bigEndian(increment))
  }

  /// A header block whose fields are all literals without indexing.
  static func block(_ headers: [(String, String)]) -> [UInt8] {
    headers.flatMap { name, value in [0] + literal(name) + literal(value) }
  }

  private static func literal(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
    var length: [UInt8] = [127]
    var rest = bytes.count - 127
    while rest >= 128 {
      length.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    return length + [UInt8(rest)] + bytes
  }
}

func bigEndian(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

func number(_ bytes: some Sequence<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }
