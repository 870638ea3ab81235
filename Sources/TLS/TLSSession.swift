internal import COpenSSL
internal import Glibc

/// What came of a call that does not wait.
public enum TLSResult: Sendable {
  case count(Int)
  case wantsRead
  case wantsWrite
  /// The peer sends no more.
  case end
  case failed(TLSFailure)
}

/// TLS over one socket that does not block. One thread at a time; does not own the descriptor.
public final class TLSSession {
  private let context: TLSContext
  private let pointer: OpaquePointer
  /// The last read found nothing: what the library holds is no whole record.
  private var isDrained = true
  private var failure: TLSFailure?
  private var hasShutDown = false

  /// A server's side of an accepted socket. Nil without memory.
  public init?(accepting descriptor: Int32, _ context: TLSContext) {
    guard let pointer = newSession(context, descriptor) else { return nil }
    self.context = context
    self.pointer = pointer
    SSL_set_accept_state(pointer)
  }

  /// A client's side of a connected socket. The server's certificate must be for `name`, a host or an address. Nil
  /// without memory.
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

  /// Goes on with the handshake: `.count(0)` once it is over. Reading and writing do that, too.
  public func handshake() -> TLSResult {
    if let failure { return .failed(failure) }
    ERR_clear_error()
    let code = SSL_do_handshake(pointer)
    return code == 1 ? .count(0) : result(code)
  }

  public var isHandshaking: Bool { SSL_is_init_finished(pointer) == 0 }

  /// Whether a read may give bytes although the socket has none.
  public var hasBufferedInput: Bool { !isDrained && SSL_has_pending(pointer) == 1 }

  /// Reads up to one record.
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> TLSResult {
    if let failure { return .failed(failure) }
    ERR_clear_error()
    let code = SSL_read(pointer, buffer.baseAddress, Int32(min(buffer.count, Int(Int32.max))))
    isDrained = code <= 0
    return code > 0 ? .count(Int(code)) : result(code)
  }

  /// Writes as many records as the socket takes. After `wantsWrite` the same bytes must come again, with more behind
  /// them perhaps.
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

  /// Tells the peer that no more will be written. False: the socket has no room, to be called again.
  public func finishWriting() -> Bool {
    guard failure == nil, !hasShutDown, !isHandshaking else { return true }
    ERR_clear_error()
    let code = SSL_shutdown(pointer)
    if code < 0, SSL_get_error(pointer, code) == SSL_ERROR_WANT_WRITE { return false }
    hasShutDown = true
    ERR_clear_error()
    return true
  }

  /// Names of the peer's certificate, which has been verified; empty without one, and before the handshake is over.
  public var peerNames: [CertificateName] { CertificateName.peerNames(of: pointer) }

  /// What ALPN has come to; nil: nothing was asked for.
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
    // First of all: everything else changes it.
    let systemError = errno
    switch SSL_get_error(pointer, code) {
    case SSL_ERROR_WANT_READ: return .wantsRead
    case SSL_ERROR_WANT_WRITE: return .wantsWrite
    case SSL_ERROR_ZERO_RETURN:
      // The library says the same of a socket that has ended, and it may do so in the middle of the handshake.
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
  // The session owns it; one and the same for both directions.
  SSL_set_bio(session, bio, bio)
  return session
}
