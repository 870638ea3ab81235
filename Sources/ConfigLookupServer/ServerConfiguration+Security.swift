// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupCredentials
internal import ConfigLookupNetwork
internal import ConfigLookupTLS

/// The flags for TLS, credentials and permitted hosts.
extension ServerConfiguration {
  static let securityFlags: [Flag<ServerConfiguration>] = [
    .file(
      "tls-certificate",
      "Serve TLS with this certificate (PEM file, followed by its intermediates). It needs --tls-key. The file is "
        + "reloaded when it changes.", default: "no TLS", \.tlsCertificate),
    .file(
      "tls-key",
      "PEM file of the private key of --tls-certificate, not encrypted. The file is reloaded when it changes.",
      \.tlsKey),
    .file(
      "tls-client-ca",
      "Require client certificates signed by these CAs (PEM file). Optional on the HTTP port.",
      default: "no client certificate required", \.tlsClientCA),
    Flag(
      "http-plain",
      "Serve the HTTP port in cleartext although --tls-certificate is set, for probes that cannot use TLS.",
      default: "false", .toggle { $1.isHTTPPlain = $0 }),
    .file(
      "credentials",
      "File of the clients' credentials and permissions, one per line: NAME sha256:DIGEST PERMISSION... The file is "
        + "reloaded when it changes.", default: "none, every client has all permissions", \.credentialsFile),
    Flag(
      "allow-insecure", "Allow addresses other than loopback without TLS or without credentials.", default: "false",
      .toggle { $1.allowsInsecure = $0 }),
    Flag(
      "allow-core-dumps", "Allow core dumps of the process, which contain tokens and private keys.", default: "false",
      .toggle { $1.allowsCoreDumps = $0 }),
  ]

  /// The TLS settings for `--check-config`.
  var tlsSummary: String {
    guard let tlsCertificate else { return "no" }
    let clients = tlsClientCA.map { "client certificate required, signed by \($0)" } ?? "no client certificate required"
    return "\(tlsCertificate), \(clients)"
      + (isHTTPPlain ? "; HTTP without TLS" : "")
  }

  /// Throws if these settings contradict each other, or if the server would listen off loopback without protection.
  func checkSecurity() throws(UsageError) {
    if (tlsCertificate == nil) != (tlsKey == nil) {
      let (given, missing) = tlsKey == nil ? ("certificate", "key") : ("key", "certificate")
      throw UsageError("--tls-\(given): needs --tls-\(missing) as well")
    }
    if tlsClientCA != nil, tlsCertificate == nil {
      throw UsageError("--tls-client-ca: needs --tls-certificate and --tls-key as well")
    }
    guard !allowsInsecure else { return }
    for (flag, address, isTLS) in [
      ("--listen", listen, tlsFiles != nil), ("--http-listen", httpListen, tlsFiles != nil && !isHTTPPlain),
    ] where !address.isLoopback {
      var missing = isTLS ? [] : ["TLS (--tls-certificate)"]
      if credentialsFile == nil, tlsClientCA == nil {
        missing.append("credentials (--credentials, or --tls-client-ca)")
      }
      guard !missing.isEmpty else { continue }
      throw UsageError(
        "\(flag): \(address) is reachable from other machines, and there is no "
          + missing.joined(separator: ", and there are no ")
          + ": set them, listen on 127.0.0.1, or use --allow-insecure if the network is trusted")
    }
  }

  /// A warning, with its flag, for each file whose permissions let other users change whom the server trusts or read
  /// the key.
  var permissionWarnings: [String] {
    let files: [(flag: String, path: String?, isSecret: Bool)] = [
      ("--tls-certificate", tlsCertificate, false), ("--tls-key", tlsKey, true),
      ("--tls-client-ca", tlsClientCA, false), ("--credentials", credentialsFile, false),
    ]
    return files.compactMap { file in
      file.path.flatMap { permissionWarning($0, isSecret: file.isSecret) }.map { "\(file.flag): \($0)" }
    }
  }

  /// Reads the credentials file; nil if none is configured. Throws if the file is invalid.
  func credentials(_ logger: Logger = .silent) throws(UsageError) -> Credentials? {
    guard let credentialsFile else { return nil }
    do throws(CredentialProblem) {
      return try Credentials(file: credentialsFile, logger: logger)
    } catch {
      throw UsageError("--credentials: \(error)")
    }
  }

  /// The files for TLS. Nil for cleartext.
  var tlsFiles: TLSFiles? {
    guard let tlsCertificate, let tlsKey else { return nil }
    return TLSFiles(certificate: tlsCertificate, key: tlsKey, authorities: tlsClientCA)
  }
}
