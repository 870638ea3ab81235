// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL
internal import ConfigLookupCore

/// A name in a certificate. Two names are equal if their kinds and bytes are equal; see `hasSameBytes(as:)`.
public struct CertificateName: Sendable, Hashable, CustomStringConvertible {
  /// The kind of a name.
  public enum Kind: String, Sendable, CaseIterable {
    /// The common name of the subject, in a certificate without subject alternative names.
    case commonName = "cn"
    /// A subject alternative name.
    case dns, uri, email
  }

  /// The kind of the name.
  public let kind: Kind
  /// The name, such as `worker.example`.
  public let text: String

  /// Creates a name.
  ///
  /// - Parameters:
  ///   - kind: The kind of the name.
  ///   - text: The name.
  public init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }

  /// Returns whether two names have the same kind and the same bytes.
  ///
  /// - Parameters:
  ///   - left: A name.
  ///   - right: Another name.
  /// - Returns: Whether they are equal.
  public static func == (left: CertificateName, right: CertificateName) -> Bool {
    left.kind == right.kind && left.text.hasSameBytes(as: right.text)
  }

  /// Hashes the kind and the bytes of the name.
  ///
  /// - Parameter hasher: The hasher.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(kind)
    for byte in text.utf8 { hasher.combine(byte) }
  }

  /// The kind and the name, such as `dns:worker.example`.
  public var description: String { "\(kind.rawValue):\(text)" }

  /// The names in the certificate of the session's peer. Empty before the handshake has been completed.
  static func peerNames(of session: OpaquePointer) -> [CertificateName] {
    guard SSL_is_init_finished(session) == 1, let certificate = SSL_get1_peer_certificate(session) else { return [] }
    defer { X509_free(certificate) }
    return names(of: certificate)
  }

  /// The names in a certificate. A name that contains a NUL byte or is not UTF-8 is ignored.
  ///
  /// The common name counts only if the certificate has no subject alternative names at all (RFC 9525, section 2, and
  /// RFC 6125, section 6.4.4). The constraints that limit an intermediate authority to certain names apply to the
  /// alternative names, so a common name beside them could be any name.
  static func names(of certificate: OpaquePointer) -> [CertificateName] {
    var names: [CertificateName] = []
    var status: Int32 = 0
    guard let list = X509_get_ext_d2i(certificate, NID_subject_alt_name, &status, nil) else {
      // With -1 there are no alternative names. Otherwise they cannot be read, or occur twice.
      return status == -1 ? commonNames(of: certificate) : []
    }
    let alternatives = OpaquePointer(list)
    defer { GENERAL_NAMES_free(alternatives) }
    for index in 0..<configlookup_name_count(alternatives) {
      guard let name = configlookup_name(alternatives, index)?.pointee else { continue }
      switch name.type {
      case GEN_DNS: if let text = utf8(name.d.dNSName) { names.append(CertificateName(.dns, text)) }
      case GEN_URI: if let text = utf8(name.d.uniformResourceIdentifier) { names.append(CertificateName(.uri, text)) }
      case GEN_EMAIL: if let text = utf8(name.d.rfc822Name) { names.append(CertificateName(.email, text)) }
      default: break
      }
    }
    return names
  }

  private static func commonNames(of certificate: OpaquePointer) -> [CertificateName] {
    var names: [CertificateName] = []
    let subject = X509_get_subject_name(certificate)
    var index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
    while index >= 0 {
      if let text = utf8(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index))) {
        names.append(CertificateName(.commonName, text))
      }
      index = X509_NAME_get_index_by_NID(subject, NID_commonName, index)
    }
    return names
  }

  private static func utf8(_ string: UnsafePointer<ASN1_STRING>?) -> String? {
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = ASN1_STRING_to_UTF8(&bytes, string)
    guard count >= 0, let bytes else { return nil }
    defer { CRYPTO_free(bytes, nil, 0) }
    let buffer = UnsafeBufferPointer(start: bytes, count: Int(count))
    guard !buffer.contains(0) else { return nil }
    return String(validating: buffer, as: UTF8.self)
  }
}
