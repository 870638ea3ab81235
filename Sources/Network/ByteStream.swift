internal import Glibc
internal import TLS

/// What came of a read or a write that does not wait.
enum ByteStreamResult {
  case count(Int)
  /// Try again when the socket is readable.
  case wantsRead
  /// Try again when the socket is writable.
  case wantsWrite
  /// The peer sends no more.
  case end
  case failed(ByteStreamProblem)
}

/// Why nothing more can be read or written.
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

/// What a connection reads from and writes to: the bare socket, or encryption over one. On the loop's thread.
protocol ByteStream: AnyObject {
  func read(into buffer: UnsafeMutableRawBufferPointer) -> ByteStreamResult
  func write(_ bytes: UnsafeRawBufferPointer) -> ByteStreamResult
  /// Writes several runs as one; nil where that cannot be.
  func write(_ runs: OutputRuns) -> ByteStreamResult?
  /// Whether a read would give bytes although the socket is not readable.
  var hasBufferedInput: Bool { get }
  /// Nothing of the peer's is to be believed yet.
  var isHandshaking: Bool { get }
  /// Names of the peer's verified certificate.
  var peerNames: [CertificateName] { get }
  /// No more will be written; the peer reads an end. False: there is no room, to be called again.
  func finishWriting() -> Bool
}

extension ByteStream {
  func write(_ runs: OutputRuns) -> ByteStreamResult? { nil }
}

/// The bare socket. Does not own the descriptor.
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

  // MSG_NOSIGNAL: a peer that is gone is an error here, not the end of the process.
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
