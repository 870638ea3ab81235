// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL
internal import Glibc

/// The state that belongs to a server's session while another C library owns and frees it.
///
/// It is used by the thread that uses the session only.
public final class LentSession {
  /// Receives the failure of the handshake (nil for a completed one) and the socket.
  public typealias Observer = (TLSFailure?, Int32) -> Void

  private let context: TLSContext
  private let observer: Observer
  private var isOver = false

  private init(_ context: TLSContext, _ observer: @escaping Observer) {
    self.context = context
    self.observer = observer
  }

  /// Creates a session (`SSL *`) that waits for a client's handshake. The object is released with the session.
  ///
  /// - Parameters:
  ///   - context: The TLS configuration of the server.
  ///   - observer: Called at most once, when the handshake is completed or fails, on the thread that uses the session.
  /// - Returns: The session; nil if there is no memory.
  public static func make(_ context: TLSContext, _ observer: @escaping Observer) -> OpaquePointer? {
    guard let session = SSL_new(context.pointer) else { return nil }
    // The object is released when the library frees the session.
    let lent = Unmanaged.passRetained(LentSession(context, observer))
    guard SSL_set_ex_data(session, place, lent.toOpaque()) == 1 else {
      lent.release()
      SSL_free(session)
      return nil
    }
    SSL_set_info_callback(session, sessionChanged)
    // libevent checks for decrypted bytes only, so bytes that were read ahead would remain unnoticed.
    SSL_set_read_ahead(session, 0)
    return session
  }

  /// Returns the names in the peer's verified certificate.
  ///
  /// - Parameter session: The session.
  /// - Returns: The names. Empty if there is no certificate, and before the handshake has been completed.
  public static func peerNames(of session: OpaquePointer) -> [CertificateName] {
    CertificateName.peerNames(of: session)
  }

  /// The index under which a session stores its object. It is allocated once and never released.
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
