internal import Core
internal import Credentials
internal import Network
internal import TLS

/// Who may come from where: TLS, and what else keeps strangers out.
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

  /// For `--check-config`.
  var tlsSummary: String {
    guard let tlsCertificate else { return "no" }
    return "\(tlsCertificate), \(tlsClientCA.map { "callers need a certificate of \($0)" } ?? "for any caller")"
      + (isHTTPPlain ? "; HTTP is plain" : "")
  }

  /// What of this does not go together.
  func checkSecurity() throws(UsageError) {
    if (tlsCertificate == nil) != (tlsKey == nil) {
      let (given, missing) = tlsKey == nil ? ("certificate", "key") : ("key", "certificate")
      throw UsageError("--tls-\(given): needs --tls-\(missing) beside it")
    }
    if tlsClientCA != nil, tlsCertificate == nil {
      throw UsageError("--tls-client-ca: needs --tls-certificate and --tls-key beside it")
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
          + ": give that, listen on 127.0.0.1, or say --allow-insecure if the network is trusted")
    }
  }

  /// What the permissions of the files let others do that they should not, which is to decide who is trusted or to read
  /// the key: a line for each such file, with its flag.
  var permissionWarnings: [String] {
    let files: [(flag: String, path: String?, isSecret: Bool)] = [
      ("--tls-certificate", tlsCertificate, false), ("--tls-key", tlsKey, true),
      ("--tls-client-ca", tlsClientCA, false), ("--credentials", credentialsFile, false),
    ]
    return files.compactMap { file in
      file.path.flatMap { permissionWarning($0, isSecret: file.isSecret) }.map { "\(file.flag): \($0)" }
    }
  }

  /// Reads the file of credentials, where there is one. Throws what is wrong with it.
  func credentials(_ logger: Logger = .silent) throws(UsageError) -> Credentials? {
    guard let credentialsFile else { return nil }
    do throws(CredentialProblem) {
      return try Credentials(file: credentialsFile, logger: logger)
    } catch {
      throw UsageError("--credentials: \(error)")
    }
  }

  /// Nil: no TLS.
  var tlsFiles: TLSFiles? {
    guard let tlsCertificate, let tlsKey else { return nil }
    return TLSFiles(certificate: tlsCertificate, key: tlsKey, authorities: tlsClientCA)
  }
}
