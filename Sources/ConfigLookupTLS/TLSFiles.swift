// SPDX-License-Identifier: Apache-2.0
/// The paths of the PEM files for one side of TLS.
public struct TLSFiles: Sendable, Hashable {
  /// The file with the certificate, followed by the intermediate certificates.
  public var certificate: String
  /// The file with the private key of the certificate, which must not be encrypted.
  public var key: String
  /// The file with the authorities that must have issued the peer's certificate; nil if the peer needs no certificate.
  public var authorities: String?

  /// Creates a set of paths.
  ///
  /// - Parameters:
  ///   - certificate: The file with the certificate, followed by the intermediate certificates.
  ///   - key: The file with the private key.
  ///   - authorities: The file with the authorities of the peer's certificate; nil if the peer needs none.
  public init(certificate: String, key: String, authorities: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.authorities = authorities
  }

  /// All paths.
  public var paths: [String] { [certificate, key] + (authorities.map { [$0] } ?? []) }
}
