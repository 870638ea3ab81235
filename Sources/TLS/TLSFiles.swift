/// The files that one side of TLS is made from, all PEM.
public struct TLSFiles: Sendable, Hashable {
  /// The certificate and the intermediates after it.
  public var certificate: String
  /// Its private key, not encrypted.
  public var key: String
  /// The authorities whose certificates the other side must have; nil: the other side needs none.
  public var authorities: String?

  public init(certificate: String, key: String, authorities: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.authorities = authorities
  }

  /// All of them.
  public var paths: [String] { [certificate, key] + (authorities.map { [$0] } ?? []) }
}
