internal import COpenSSL
internal import Glibc

/// A server's session in the hands of another C library, which owns and frees it: what it needs from here meanwhile.
///
/// On the one thread that uses the session.
public final class LentSession {
  /// How the handshake ended, and on which socket.
  public typealias Observer = (TLSFailure?, Int32) -> Void

  private let context: TLSContext
  private let observer: Observer
  private var isOver = false

  private init(_ context: TLSContext, _ observer: @escaping Observer) {
    self.context = context
    self.observer = observer
  }

  /// Makes a session (`SSL *`) that waits for a client's handshake. Nil without memory.
  public static func make(_ context: TLSContext, _ observer: @escaping Observer) -> OpaquePointer? {
    guard let session = SSL_new(context.pointer) else { return nil }
    // Released when the library frees the session.
    let lent = Unmanaged.passRetained(LentSession(context, observer))
    guard SSL_set_ex_data(session, place, lent.toOpaque()) == 1 else {
      lent.release()
      SSL_free(session)
      return nil
    }
    SSL_set_info_callback(session, sessionChanged)
    // libevent looks at what is decrypted only: what was read ahead would lie there unseen.
    SSL_set_read_ahead(session, 0)
    return session
  }

  /// Names of the peer's certificate, which has been verified; empty without one.
  public static func peerNames(of session: OpaquePointer) -> [CertificateName] {
    CertificateName.peerNames(of: session)
  }

  /// Where a session keeps its object: taken once, and never given back.
  fileprivate static let place = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, nil, nil, nil, sessionFreed)

  fileprivate func changed(_ session: OpaquePointer, _ what: Int32, _ result: Int32) {
    guard !isOver else { return }
    if what & SSL_CB_HANDSHAKE_DONE != 0 {
      isOver = true
      observer(nil, SSL_get_fd(session))
    } else if what == SSL_CB_ACCEPT_EXIT, result <= 0, ERR_peek_last_error() != 0 {
      isOver = true
      observer(TLSFailure(session: session, isServer: true), SSL_get_fd(session))
    }
  }
}

private func sessionChanged(_ session: OpaquePointer?, _ what: Int32, _ result: Int32) {
  guard let session, let object = SSL_get_ex_data(session, LentSession.place) else { return }
  Unmanaged<LentSession>.fromOpaque(object).takeUnretainedValue().changed(session, what, result)
}

private func sessionFreed(
  _: UnsafeMutableRawPointer?, _ object: UnsafeMutableRawPointer?, _: UnsafeMutablePointer<CRYPTO_EX_DATA>?, _: Int32,
  _: Int, _: UnsafeMutableRawPointer?
) {
  if let object { Unmanaged<LentSession>.fromOpaque(object).release() }
}
