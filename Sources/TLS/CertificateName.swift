internal import COpenSSL
internal import Core

/// A name that a certificate gives its owner. Equal where kind and bytes are equal: see `hasSameBytes(as:)`.
public struct CertificateName: Sendable, Hashable, CustomStringConvertible {
  public enum Kind: String, Sendable, CaseIterable {
    /// The subject's common name, of a certificate that has no alternative names.
    case commonName = "cn"
    /// The alternative names of the subject.
    case dns, uri, email
  }

  public let kind: Kind
  public let text: String

  public init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }

  public static func == (left: CertificateName, right: CertificateName) -> Bool {
    left.kind == right.kind && left.text.hasSameBytes(as: right.text)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(kind)
    for byte in text.utf8 { hasher.combine(byte) }
  }

  /// `dns:worker.example`
  public var description: String { "\(kind.rawValue):\(text)" }

  /// Those of the certificate that the session's peer has shown; none before the handshake is over.
  static func peerNames(of session: OpaquePointer) -> [CertificateName] {
    guard SSL_is_init_finished(session) == 1, let certificate = SSL_get1_peer_certificate(session) else { return [] }
    defer { X509_free(certificate) }
    return names(of: certificate)
  }

  /// Those of a certificate; a name with a NUL in it, or that is not UTF-8, is none.
  ///
  /// The common name counts only where the certificate has no alternative names at all (RFC 9525, section 2, and
  /// RFC 6125, section 6.4.4): the constraints that bind an intermediate authority to some names are about the
  /// alternative ones, and a common name beside them may say anything.
  static func names(of certificate: OpaquePointer) -> [CertificateName] {
    var names: [CertificateName] = []
    var status: Int32 = 0
    guard let list = X509_get_ext_d2i(certificate, NID_subject_alt_name, &status, nil) else {
      // -1: there are none. Else they cannot be read, or are there twice.
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
