// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL
internal import Glibc

/// The result of an operation that does not block.
public enum TLSResult: Sendable {
  /// The operation transferred this number of bytes.
  case count(Int)
  /// The operation must be repeated when the socket is readable.
  case wantsRead
  /// The operation must be repeated when the socket is writable.
  case wantsWrite
  /// The peer has closed its side of the connection.
  case end
  /// The handshake or the connection has failed.
  case failed(TLSFailure)
}

/// TLS over a non-blocking socket. It does not own the descriptor, and may be used by one thread at a time.
public final class TLSSession {
  private let context: TLSContext
  private let pointer: OpaquePointer
  /// Whether the last read returned no bytes, so that the library holds no complete record.
  private var isDrained = true
  private var failure: TLSFailure?
  private var hasShutDown = false

  /// Creates the server side of an accepted connection. Nil if there is no memory.
  ///
  /// - Parameters:
  ///   - descriptor: The socket, which must be non-blocking.
  ///   - context: The TLS configuration of the server.
  public init?(accepting descriptor: Int32, _ context: TLSContext) {
    guard let pointer = newSession(context, descriptor) else { return nil }
    self.context = context
    self.pointer = pointer
    SSL_set_accept_state(pointer)
  }

  /// Creates the client side of an established connection. Nil if there is no memory.
  ///
  /// - Parameters:
  ///   - descriptor: The socket, which must be non-blocking.
  ///   - name: The host name or address for which the server's certificate must be valid.
  ///   - context: The TLS configuration of the client.
  public init?(connecting descriptor: Int32, to name: String, _ context: TLSContext) {
    guard let pointer = newSession(context, descriptor) else { return nil }
    self.context = context
    self.pointer = pointer
    if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(pointer), name) != 1 {
      ERR_clear_error()
      SSL_set1_host(pointer, name)
      _ = configlookup_set_server_name(pointer, name)
    }
    SSL_set_connect_state(pointer)
  }

  deinit {
    SSL_free(pointer)
  }

  /// Continues the handshake. Reading and writing do so, too.
  ///
  /// - Returns: `.count(0)` when the handshake has been completed.
  public func handshake() -> TLSResult {
    if let failure { return .failed(failure) }
    ERR_clear_error()
    let code = SSL_do_handshake(pointer)
    return code == 1 ? .count(0) : result(code)
  }

  /// Whether the handshake has not been completed.
  public var isHandshaking: Bool { SSL_is_init_finished(pointer) == 0 }

  /// Whether a read may return bytes although the socket is not readable.
  public var hasBufferedInput: Bool { !isDrained && SSL_has_pending(pointer) == 1 }

  /// Reads at most one record.
  ///
  /// - Parameter buffer: The memory to read into.
  /// - Returns: The number of bytes, or the reason for which there are none.
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> TLSResult {
    if let failure { return .failed(failure) }
    ERR_clear_error()
    let code = SSL_read(pointer, buffer.baseAddress, Int32(min(buffer.count, Int(Int32.max))))
    isDrained = code <= 0
    return code > 0 ? .count(Int(code)) : result(code)
  }

  /// Writes as many records as the socket accepts. After `wantsWrite` the same bytes must be passed again; further
  /// bytes may follow them.
  ///
  /// - Parameter bytes: The bytes to write.
  /// - Returns: The number of bytes that were written, or the reason for which none were.
  public func write(_ bytes: UnsafeRawBufferPointer) -> TLSResult {
    if let failure { return .failed(failure) }
    var sent = 0
    while sent < bytes.count {
      ERR_clear_error()
      let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
      let code = SSL_write(pointer, rest.baseAddress, Int32(min(rest.count, Int(Int32.max))))
      guard code > 0 else { return sent > 0 && canWait(code) ? .count(sent) : result(code) }
      sent += Int(code)
    }
    return .count(sent)
  }

  /// Sends the close_notify alert.
  ///
  /// - Returns: False if the socket is full and the function must be called again.
  public func finishWriting() -> Bool {
    guard failure == nil, !hasShutDown, !isHandshaking else { return true }
    ERR_clear_error()
    let code = SSL_shutdown(pointer)
    if code < 0, SSL_get_error(pointer, code) == SSL_ERROR_WANT_WRITE { return false }
    hasShutDown = true
    ERR_clear_error()
    return true
  }

  /// The names in the peer's verified certificate. Empty if there is none, and before the handshake has been completed.
  public var peerNames: [CertificateName] { CertificateName.peerNames(of: pointer) }

  /// The protocol that ALPN selected; nil if none was offered.
  public var applicationProtocol: String? {
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    SSL_get0_alpn_selected(pointer, &name, &count)
    guard let name, count > 0 else { return nil }
    return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
  }

  private func canWait(_ code: Int32) -> Bool {
    let error = SSL_get_error(pointer, code)
    return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ
  }

  private func result(_ code: Int32) -> TLSResult {
    // The error number is saved first, because all other calls change it.
    let systemError = errno
    switch SSL_get_error(pointer, code) {
    case SSL_ERROR_WANT_READ: return .wantsRead
    case SSL_ERROR_WANT_WRITE: return .wantsWrite
    case SSL_ERROR_ZERO_RETURN:
      // The library reports the same for a socket that was closed, and it may do so during the handshake.
      return isHandshaking ? fail(abandoned) : .end
    case SSL_ERROR_SYSCALL:
      if isHandshaking { return fail(abandoned) }
      return fail(TLSFailure(.other, systemError == 0 ? "connection lost" : String(cString: strerror(systemError))))
    default:
      return fail(TLSFailure(session: pointer, isServer: context.isServer))
    }
  }

  private func fail(_ failure: TLSFailure) -> TLSResult {
    self.failure = failure
    ERR_clear_error()
    return .failed(failure)
  }

  private var abandoned: TLSFailure {
    TLSFailure(
      .abandoned, "\(context.isServer ? "the peer" : "the server") closed the connection during the handshake")
  }
}

private func newSession(_ context: TLSContext, _ descriptor: Int32) -> OpaquePointer? {
  guard let session = SSL_new(context.pointer) else { return nil }
  guard let bio = SocketBIO.new(descriptor) else {
    SSL_free(session)
    return nil
  }
  // The session owns the BIO, which is the same for both directions.
  SSL_set_bio(session, bio, bio)
  return session
}
