// SPDX-License-Identifier: Apache-2.0
/// Finds the part of a connection's input that can be passed to nghttp2: complete frames, and header blocks with all
/// their frames. Incomplete input remains in the connection, which limits the time for which it may be incomplete.
///
/// The scanner also computes a cost for frames that do not advance a call. Errors in frames are left to nghttp2.
struct HTTP2FrameScanner {
  struct Scan: Equatable {
    /// Number of bytes to pass on now.
    var usable = 0
    /// The cost of the frames in these bytes, for a `FloodGuard`.
    var cost = 0
    /// Whether a header block is too long, or has too many frames.
    var isBlockTooLong = false
  }

  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  /// The default of HTTP/2, which this server does not raise.
  static let maximumFrameBytes = 16 * 1024
  static let headerBytes = 9
  /// Maximum number of CONTINUATION frames of one header block.
  static let maximumContinuations = 8
  /// A DATA frame with fewer bytes that does not end its stream has a cost. Most requests consist of one frame.
  private static let smallDataBytes = 256

  private let headerBlockBytes: Int
  private var hasPreface = false

  init(headerBlockBytes: Int) {
    self.headerBlockBytes = headerBlockBytes
  }

  /// Scans whole frames from the start of `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: input of the connection, from the end of what was handed on before.
  ///   - limit: no frame is added once this many bytes are usable.
  /// - Returns: what can be handed on, and what it costs.
  mutating func scan(_ bytes: UnsafeRawBufferPointer, until limit: Int = .max) -> Scan {
    var scan = Scan()
    if !hasPreface {
      let count = min(bytes.count, Self.preface.count)
      guard bytes.prefix(count).elementsEqual(Self.preface.prefix(count)) else { return Scan(usable: bytes.count) }
      guard count == Self.preface.count else { return scan }
      hasPreface = true
      scan.usable = count
    }
    while scan.usable < limit, let frame = Frame(bytes, at: scan.usable) {
      guard frame.length <= Self.maximumFrameBytes else {
        // The rest of a frame that is too long is not awaited.
        scan.usable = bytes.count
        break
      }
      guard frame.end <= bytes.count else { break }
      if frame.opensBlock {
        guard let end = endOfBlock(bytes, after: frame, &scan) else { break }
        scan.usable = end
      } else {
        scan.cost += Self.cost(of: frame)
        scan.usable = frame.end
      }
    }
    return scan
  }

  /// The end of a header block whose first frame has been found; nil if its rest has not been received yet.
  private func endOfBlock(_ bytes: UnsafeRawBufferPointer, after first: Frame, _ scan: inout Scan) -> Int? {
    var end = first.end
    var cost = 0
    for _ in 0...Self.maximumContinuations {
      guard end - first.start <= headerBlockBytes else { break }
      guard let next = Frame(bytes, at: end) else { return nil }
      // If another frame is in between, nghttp2 ends the connection.
      guard next.type == .continuation, next.length <= Self.maximumFrameBytes else { return end + Self.headerBytes }
      guard next.end <= bytes.count else { return nil }
      end = next.end
      cost += 1
      guard next.endsHeaders else { continue }
      // The cost is added when the block is complete, because an incomplete block is scanned repeatedly.
      scan.cost += cost
      return end
    }
    scan.isBlockTooLong = true
    return nil
  }

  private static func cost(of frame: Frame) -> Int {
    switch frame.type {
    case .headers: 0
    case .data: frame.endsStream || frame.length >= smallDataBytes ? 0 : 1
    // The server must acknowledge it.
    case .settings: frame.isAcknowledgement ? 1 : 10
    case .ping, .resetStream: 2
    default: 1
    }
  }
}

private struct Frame {
  enum Kind: UInt8 {
    case data = 0
    case headers = 1
    case priority = 2
    case resetStream = 3
    case settings = 4
    case pushPromise = 5
    case ping = 6
    case goAway = 7
    case windowUpdate = 8
    case continuation = 9
  }

  let start: Int
  let length: Int
  /// Nil for an extension frame.
  let type: Kind?
  private let flags: UInt8

  /// Reads the header of a frame; nil if it has not been received completely.
  init?(_ bytes: UnsafeRawBufferPointer, at start: Int) {
    guard bytes.count - start >= HTTP2FrameScanner.headerBytes else { return nil }
    self.start = start
    length = Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
    type = Kind(rawValue: bytes[start + 3])
    flags = bytes[start + 4]
  }

  var end: Int { start + HTTP2FrameScanner.headerBytes + length }
  var endsStream: Bool { flags & 0x1 != 0 }
  var isAcknowledgement: Bool { flags & 0x1 != 0 }
  var endsHeaders: Bool { flags & 0x4 != 0 }
  var opensBlock: Bool { type == .headers && !endsHeaders }
}
