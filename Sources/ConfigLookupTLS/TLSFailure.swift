// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL

/// The failure of a TLS handshake or connection.
public struct TLSFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kind of failure. Each kind has its own counter, and its own kind of log line.
  public enum Reason: String, Sendable, CaseIterable {
    /// The peer does not use TLS.
    case plainText = "plain_text"
    /// The peer supports no version that is allowed.
    case version
    /// The peer has no certificate, although one is required.
    case noCertificate = "no_certificate"
    /// The peer's certificate is not issued by a trusted authority, or is not valid for the name.
    case untrustedCertificate = "untrusted_certificate"
    /// The peer's certificate has expired, or is not valid yet.
    case expiredCertificate = "expired_certificate"
    /// The peer ended the handshake; most often it does not trust the certificate of this side.
    case refusedByPeer = "refused_by_peer"
    /// The peer offers no application protocol (ALPN) that is supported.
    case applicationProtocol = "application_protocol"
    /// The handshake was not completed within the time limit.
    case timedOut = "timed_out"
    /// The peer closed the connection during the handshake. It may have been a probe.
    case abandoned
    /// Any other failure.
    case other

    /// The index of the reason among all cases.
    public var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  }

  /// The kind of failure.
  public let reason: Reason
  /// A description for people.
  public let message: String

  /// Creates a failure.
  ///
  /// - Parameters:
  ///   - reason: The kind of failure.
  ///   - message: A description for people.
  public init(_ reason: Reason, _ message: String) {
    self.reason = reason
    self.message = message
  }

  /// The message.
  public var description: String { message }

  /// Creates a failure from the library's error queue, after a call for `session` that failed.
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

  /// Creates a failure from an alert by which the peer ended the connection.
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

/// The library's description of one of its error codes.
func libraryMessage(_ code: UInt) -> String {
  guard code != 0, let text = ERR_reason_error_string(code) else { return "error \(code) of the TLS library" }
  return String(cString: text)
}
