// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupTLS
internal import Glibc

/// The result of a read or a write that does not block.
enum ByteStreamResult {
  case count(Int)
  /// The operation must be repeated when the socket is readable.
  case wantsRead
  /// The operation must be repeated when the socket is writable.
  case wantsWrite
  /// The peer has closed its side of the connection.
  case end
  case failed(ByteStreamProblem)
}

/// The reason for which nothing more can be read or written.
enum ByteStreamProblem: CustomStringConvertible {
  case system(Int32)
  case tls(TLSFailure)

  var description: String {
    switch self {
    case .system(let code): systemMessage(code)
    case .tls(let failure): failure.message
    }
  }
}

/// The byte stream of a connection: the socket itself, or TLS over a socket. It is used on the event loop's thread
/// only.
protocol ByteStream: AnyObject {
  func read(into buffer: UnsafeMutableRawBufferPointer) -> ByteStreamResult
  func write(_ bytes: UnsafeRawBufferPointer) -> ByteStreamResult
  /// Writes several byte ranges with one system call; nil if the stream does not support this.
  func write(_ runs: OutputRuns) -> ByteStreamResult?
  /// Whether a read would return bytes although the socket is not readable.
  var hasBufferedInput: Bool { get }
  /// Whether the TLS handshake is in progress, so that the peer is not authenticated yet.
  var isHandshaking: Bool { get }
  /// The names in the peer's verified certificate.
  var peerNames: [CertificateName] { get }
  /// Closes the sending side, so that the peer reads the end of the stream. Returns false if the socket is full and the
  /// function must be called again.
  func finishWriting() -> Bool
}

extension ByteStream {
  func write(_ runs: OutputRuns) -> ByteStreamResult? { nil }
}

/// A socket without TLS. It does not own the descriptor.
final class PlainSocket: ByteStream {
  private let descriptor: Int32

  init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  var hasBufferedInput: Bool { false }
  var isHandshaking: Bool { false }
  var peerNames: [CertificateName] { [] }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> ByteStreamResult {
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count > 0 { return .count(count) }
      if count == 0 { return .end }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wantsRead
      case let code: return .failed(.system(code))
      }
    }
  }

  // MSG_NOSIGNAL turns a write to a closed connection into an error instead of a signal that ends the process.
  func write(_ bytes: UnsafeRawBufferPointer) -> ByteStreamResult {
    written { send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) }
  }

  func write(_ runs: OutputRuns) -> ByteStreamResult? {
    var message = runs.message
    return written { sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL)) }
  }

  @inline(__always)
  private func written(_ attempt: () -> Int) -> ByteStreamResult {
    while true {
      let count = attempt()
      if count >= 0 { return .count(count) }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wantsWrite
      case let code: return .failed(.system(code))
      }
    }
  }

  func finishWriting() -> Bool {
    shutdown(descriptor, Int32(SHUT_WR))
    return true
  }
}
