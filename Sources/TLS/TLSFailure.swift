internal import COpenSSL

/// Why a handshake came to nothing, or a connection broke.
public struct TLSFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// One counter and one kind of line in the log each.
  public enum Reason: String, Sendable, CaseIterable {
    /// The peer does not speak TLS.
    case plainText = "plain_text"
    /// It speaks no version that is allowed.
    case version
    /// It has no certificate, and must have one.
    case noCertificate = "no_certificate"
    /// Its certificate is not of an authority that is trusted, or not for this name.
    case untrustedCertificate = "untrusted_certificate"
    case expiredCertificate = "expired_certificate"
    /// It does not want to go on; most often it does not trust our certificate.
    case refusedByPeer = "refused_by_peer"
    /// It wants to speak a protocol over TLS that is not spoken here.
    case applicationProtocol = "application_protocol"
    /// It took too long.
    case timedOut = "timed_out"
    /// It went away before the handshake was over: a probe, perhaps.
    case abandoned
    case other

    /// Its place among all cases.
    public var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  }

  public let reason: Reason
  /// For people.
  public let message: String

  public init(_ reason: Reason, _ message: String) {
    self.reason = reason
    self.message = message
  }

  public var description: String { message }

  /// What the library's queue of errors says about `session`, after a call that failed.
  init(session: OpaquePointer, isServer: Bool) {
    let code = ERR_peek_last_error()
    let number = configlookup_reason(code)
    let text = libraryMessage(code)
    switch number {
    case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_WRONG_VERSION_NUMBER:
      self.init(.plainText, isServer ? "the peer did not send TLS" : "the server did not reply with TLS")
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_UNKNOWN_PROTOCOL,
      SSL_R_WRONG_SSL_VERSION, SSL_R_INAPPROPRIATE_FALLBACK:
      self.init(.version, "no common version of TLS; this side supports 1.2 and 1.3")
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      self.init(.noCertificate, "the peer sent no certificate, and one is required")
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      let result = SSL_get_verify_result(session)
      let detail = String(cString: X509_verify_cert_error_string(result))
      let isDated = [X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID].contains(Int32(result))
      self.init(isDated ? .expiredCertificate : .untrustedCertificate, "the peer's certificate: \(detail)")
    case SSL_R_NO_APPLICATION_PROTOCOL:
      self.init(.applicationProtocol, "the peer offers no supported application protocol (ALPN)")
    case SSL_AD_REASON_OFFSET...(SSL_AD_REASON_OFFSET + 255):
      self.init(alert: number - SSL_AD_REASON_OFFSET, text, isServer: isServer)
    default:
      self.init(.other, text)
    }
  }

  /// The peer says why it ends the connection.
  private init(alert: Int32, _ text: String, isServer: Bool) {
    switch (alert, isServer) {
    case (SSL3_AD_BAD_CERTIFICATE, true), (TLS1_AD_UNKNOWN_CA, true), (SSL3_AD_CERTIFICATE_UNKNOWN, true),
      (SSL3_AD_CERTIFICATE_EXPIRED, true):
      self.init(.refusedByPeer, "the peer rejected the server's certificate: \(text)")
    case (TLS13_AD_CERTIFICATE_REQUIRED, false), (SSL3_AD_HANDSHAKE_FAILURE, false):
      self.init(.refusedByPeer, "the server rejected the handshake: \(text); it may require a client certificate")
    case (SSL3_AD_BAD_CERTIFICATE, false), (TLS1_AD_UNKNOWN_CA, false), (SSL3_AD_CERTIFICATE_UNKNOWN, false),
      (SSL3_AD_CERTIFICATE_EXPIRED, false):
      self.init(.refusedByPeer, "the server rejected the client certificate: \(text)")
    default:
      self.init(.refusedByPeer, "\(isServer ? "the peer" : "the server") closed the connection: \(text)")
    }
  }
}

/// What the library says about one of its error codes.
func libraryMessage(_ code: UInt) -> String {
  guard code != 0, let text = ERR_reason_error_string(code) else { return "error \(code) of the TLS library" }
  return String(cString: text)
}
