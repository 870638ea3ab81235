// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupTLS
internal import Glibc

/// TLS over a socket. It does not own the descriptor.
final class TLSStream: ByteStream {
  private let session: TLSSession
  private let descriptor: Int32

  init(_ session: TLSSession, descriptor: Int32) {
    self.session = session
    self.descriptor = descriptor
  }

  var hasBufferedInput: Bool { session.hasBufferedInput }
  var isHandshaking: Bool { session.isHandshaking }
  var applicationProtocol: String? { session.applicationProtocol }
  var peerNames: [CertificateName] { session.peerNames }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> ByteStreamResult {
    ByteStreamResult(session.read(into: buffer))
  }

  func write(_ bytes: UnsafeRawBufferPointer) -> ByteStreamResult {
    ByteStreamResult(session.write(bytes))
  }

  func handshake() -> ByteStreamResult {
    ByteStreamResult(session.handshake())
  }

  func finishWriting() -> Bool {
    guard session.finishWriting() else { return false }
    shutdown(descriptor, Int32(SHUT_WR))
    return true
  }
}

extension ByteStreamResult {
  init(_ result: TLSResult) {
    switch result {
    case .count(let count): self = .count(count)
    case .wantsRead: self = .wantsRead
    case .wantsWrite: self = .wantsWrite
    case .end: self = .end
    case .failed(let failure): self = .failed(.tls(failure))
    }
  }
}
