// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL
internal import Glibc

/// The TLS configuration that all connections of a port, or of a client, share: certificate, key and rules. It may be
/// used from any thread.
public final class TLSContext: @unchecked Sendable {
  // This is safe to share: `pointer` is set up in `init` and never changed; the library counts its references
  // atomically.
  let pointer: OpaquePointer
  let isServer: Bool
  /// The protocols for ALPN. For a server the preferred one is first.
  fileprivate let protocols: [[UInt8]]
  /// Problems that need attention, although TLS works.
  public private(set) var warnings: [String] = []

  /// Whether a server requires client certificates or only requests them.
  public enum ClientCertificates: Sendable {
    case required, welcome
  }

  private init(isServer: Bool, protocols: [String]) throws(TLSError) {
    guard let method = isServer ? TLS_server_method() : TLS_client_method(), let pointer = SSL_CTX_new(method) else {
      throw TLSError(.library, "TLS cannot be set up: \(libraryMessage(ERR_peek_last_error()))")
    }
    self.pointer = pointer
    self.isServer = isServer
    self.protocols = protocols.map { Array($0.utf8) }
    _ = configlookup_require_tls12(pointer)
    _ = SSL_CTX_set_options(pointer, configlookup_options)
    // Many clients end a connection without a close_notify alert. This is harmless here: their messages have a length,
    // and are either complete or discarded.
    if isServer { _ = SSL_CTX_set_options(pointer, configlookup_ignore_cut) }
    // The list applies to TLS 1.2; all cipher suites of TLS 1.3 are acceptable.
    _ = SSL_CTX_set_cipher_list(pointer, "ECDHE+AESGCM:ECDHE+CHACHA20")
    configlookup_set_mode(pointer)
    configlookup_read_ahead(pointer)
    configlookup_no_session_cache(pointer)
  }

  deinit {
    SSL_CTX_free(pointer)
  }

  /// Creates the context of a server.
  ///
  /// - Parameters:
  ///   - files: The certificate, its key, and the authorities of client certificates.
  ///   - protocols: The protocols that clients may offer by ALPN. A client that offers only others is rejected; a
  ///     client that offers none is not.
  ///   - clients: Whether clients need a certificate. It has no effect if `files.authorities` is nil.
  /// - Throws: If a file cannot be read or does not contain what is needed.
  public convenience init(
    server files: TLSFiles, protocols: [String], clients: ClientCertificates = .required
  ) throws(TLSError) {
    try self.init(isServer: true, protocols: protocols)
    try use(files)
    // Resumed sessions keep the client's certificate, and must not be transferred from one port to another.
    let name = Array("config-lookup".utf8)
    _ = SSL_CTX_set_session_id_context(pointer, name, UInt32(name.count))
    if let authorities = files.authorities {
      try trust(authorities, namesThem: true)
      let mode = SSL_VERIFY_PEER | (clients == .required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0)
      SSL_CTX_set_verify(pointer, mode, nil)
    }
    // The pointer is unretained, because sessions hold `self` while the library can call the function.
    SSL_CTX_set_alpn_select_cb(pointer, selectProtocol, Unmanaged.passUnretained(self).toOpaque())
  }

  /// Creates the context of a client.
  ///
  /// - Parameters:
  ///   - authorities: A PEM file with the authorities of server certificates; nil for those that the system trusts.
  ///   - identity: The client's certificate and key; nil for none. Its `authorities` are not used.
  ///   - protocols: The protocols to offer by ALPN; none if empty.
  /// - Throws: If a file cannot be read or does not contain what is needed.
  public convenience init(
    clientTrusting authorities: String?, identity: TLSFiles? = nil, protocols: [String] = []
  ) throws(TLSError) {
    try self.init(isServer: false, protocols: protocols)
    if !protocols.isEmpty {
      let list = self.protocols.flatMap { [UInt8($0.count)] + $0 }
      _ = SSL_CTX_set_alpn_protos(pointer, list, UInt32(list.count))
    }
    if let authorities { try trust(authorities) } else { _ = SSL_CTX_set_default_verify_paths(pointer) }
    if let identity { try use(identity) }
    SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
  }

  // MARK: Files

  private func use(_ files: TLSFiles) throws(TLSError) {
    let chain = try PEMFile(files.certificate, .certificate).certificates()
    defer { for certificate in chain { X509_free(certificate) } }
    let leaf = chain[0]
    guard SSL_CTX_use_certificate(pointer, leaf) == 1 else {
      throw TLSError(.certificate, "\(files.certificate): \(libraryMessage(ERR_peek_last_error()))")
    }
    for certificate in chain.dropFirst() { _ = configlookup_add_chain(pointer, certificate) }
    let key = try PEMFile(files.key, .key).privateKey()
    defer { EVP_PKEY_free(key) }
    guard X509_check_private_key(leaf, key) == 1, SSL_CTX_use_PrivateKey(pointer, key) == 1 else {
      ERR_clear_error()
      throw TLSError(
        .key,
        "\(files.key): does not belong to the certificate in \(files.certificate); give a matching pair")
    }
    let (from, until) = (X509_get0_notBefore(leaf), X509_get0_notAfter(leaf))
    if X509_cmp_current_time(until) < 0 {
      warnings.append("\(files.certificate): the certificate expired on \(text(until)); peers will reject it")
    } else if X509_cmp_current_time(from) > 0 {
      warnings.append("\(files.certificate): the certificate is not valid before \(text(from))")
    }
  }

  /// - Parameter namesThem: Whether the server sends the authorities' names to its clients, which may have several
  ///   certificates.
  private func trust(_ path: String, namesThem: Bool = false) throws(TLSError) {
    let authorities = try PEMFile(path, .authorities).certificates()
    defer { for certificate in authorities { X509_free(certificate) } }
    let store = SSL_CTX_get_cert_store(pointer)
    // Each certificate in the file is trusted by itself, even that of an intermediate authority without its root.
    _ = X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
    for certificate in authorities {
      _ = X509_STORE_add_cert(store, certificate)
      if namesThem { _ = SSL_CTX_add_client_CA(pointer, certificate) }
    }
  }
}

/// The time in the form `2026-01-09 10:20:30Z`.
private func text(_ time: UnsafePointer<ASN1_TIME>?) -> String {
  var parts = tm()
  guard ASN1_TIME_to_tm(time, &parts) == 1 else { return "an unknown date" }
  func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
  return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
    + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
}

/// Selects the first of the context's protocols that the client offers. `offer` is a sequence of lengths and names.
private func selectProtocol(
  _: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ length: UnsafeMutablePointer<UInt8>?,
  _ offer: UnsafePointer<UInt8>?, _ offerLength: UInt32, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
  guard let chosen, let length, let offer, let argument else { return SSL_TLSEXT_ERR_ALERT_FATAL }
  let context = Unmanaged<TLSContext>.fromOpaque(argument).takeUnretainedValue()
  for name in context.protocols {
    var start = 0
    while start < Int(offerLength) {
      let count = Int(offer[start])
      guard start + 1 + count <= Int(offerLength) else { break }
      if UnsafeBufferPointer(start: offer + start + 1, count: count).elementsEqual(name) {
        chosen.pointee = offer + start + 1
        length.pointee = UInt8(count)
        return SSL_TLSEXT_ERR_OK
      }
      start += 1 + count
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL
}
