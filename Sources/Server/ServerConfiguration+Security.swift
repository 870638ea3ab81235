internal import Core
internal import Credentials
internal import Network
internal import TLS

/// Who may come from where: TLS, and what else keeps strangers out.
extension ServerConfiguration {
  static let securityFlags: [Flag<ServerConfiguration>] = [
    Flag(
      "tls-certificate", "Serve over TLS with this certificate (PEM, intermediates behind it); read again on change.",
      default: "no TLS",
      .value(placeholder: "FILE") {
        $1.tlsCertificate = $0
        return nil
      }),
    Flag(
      "tls-key", "The certificate's private key (PEM, not encrypted).",
      .value(placeholder: "FILE") {
        $1.tlsKey = $0
        return nil
      }),
    Flag(
      "tls-client-ca", "Callers need a certificate of one of these authorities (PEM). Over HTTP they may have one.",
      default: "no certificate needed",
      .value(placeholder: "FILE") {
        $1.tlsClientCA = $0
        return nil
      }),
    Flag(
      "http-plain", "Serve HTTP without TLS, although there is a certificate: for probes that cannot do otherwise.",
      default: "false", .toggle { $1.isHTTPPlain = $0 }),
    Flag(
      "http-allowed-hosts",
      "Names and addresses, separated by commas, that HTTP requests may have in Host, each with or without a port.",
      default: "localhost, the name of --http-listen, loopback addresses and the address connected to",
      .value(placeholder: "NAME,...") { allowedHosts($0, &$1.httpAllowedHosts) }),
    Flag(
      "credentials", "Who may do what, a line each: NAME sha256:DIGEST RIGHT...; read again on change.",
      default: "none, everybody may do everything",
      .value(placeholder: "FILE") {
        $1.credentialsFile = $0
        return nil
      }),
    Flag(
      "allow-insecure", "Listen off loopback without TLS or without credentials.", default: "false",
      .toggle { $1.allowsInsecure = $0 }),
  ]

  /// For `--check-config`.
  var tlsSummary: String {
    guard let tlsCertificate else { return "no" }
    let clients = tlsClientCA.map { "client certificate required, signed by \($0)" } ?? "no client certificate required"
    return "\(tlsCertificate), \(clients)"
      + (isHTTPPlain ? "; HTTP without TLS" : "")
  }

  /// What of this does not go together.
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

private func allowedHosts(_ text: String, _ hosts: inout [HTTPRequestGuard.AllowedHost]) -> String? {
  hosts = []
  for item in text.split(separator: ",", omittingEmptySubsequences: false) {
    let name = item.trimmingPrefix(" ")
    guard let host = HTTPRequestGuard.AllowedHost(name) else {
      return "\"\(name)\" is not a host name or address, with or without a port; write for example config-lookup:9464"
    }
    hosts.append(host)
  }
  return nil
}
