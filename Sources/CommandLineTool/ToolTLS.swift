internal import Core
internal import FramedTransport
internal import GRPCTransport
internal import RPC
internal import TLS

/// How the command line speaks TLS.
struct ToolTLS: Sendable {
  var isOn = false
  var authorities: String?
  var certificate: String?
  var key: String?
  var serverName: String?

  static let flags: [Flag<ToolOptions>] = [
    Flag(
      "tls", "Speak TLS to the server.", default: "false, or true with another --tls flag", .toggle { $1.tls.isOn = $0 }
    ),
    Flag(
      "tls-ca", "The authorities whose certificates the server may have (PEM).", default: "those of the system",
      .value(placeholder: "FILE") {
        $1.tls.authorities = $0; return nil
      }),
    Flag(
      // Not CONFIG_LOOKUP_TLS_CERTIFICATE and _KEY: beside a server, in its container, those are the server's own.
      "tls-certificate", "The certificate that this client presents to the server (PEM).",
      variable: "CONFIG_LOOKUP_CLIENT_TLS_CERTIFICATE",
      .value(placeholder: "FILE") {
        $1.tls.certificate = $0; return nil
      }),
    Flag(
      "tls-key", "That certificate's private key (PEM, not encrypted).", variable: "CONFIG_LOOKUP_CLIENT_TLS_KEY",
      .value(placeholder: "FILE") {
        $1.tls.key = $0; return nil
      }),
    Flag(
      "tls-server-name", "The name that the server's certificate must be for.", default: "the host of --server",
      .value(placeholder: "NAME") {
        $1.tls.serverName = $0; return nil
      }),
  ]

  var isWanted: Bool { isOn || authorities != nil || certificate != nil || key != nil || serverName != nil }

  /// The context of a connection; nil: without TLS.
  ///
  /// - Parameters:
  ///   - protocols: what to ask for by ALPN.
  ///   - isForced: whether there is TLS although no flag asks for it.
  func context(_ protocols: [String] = [], isForced: Bool = false) throws(UsageError) -> TLSContext? {
    guard isWanted || isForced else { return nil }
    guard (certificate == nil) == (key == nil) else {
      throw UsageError("--tls-certificate and --tls-key: one needs the other")
    }
    do throws(TLSError) {
      var identity: TLSFiles?
      if let certificate, let key { identity = TLSFiles(certificate: certificate, key: key) }
      return try TLSContext(clientTrusting: authorities, identity: identity, protocols: protocols)
    } catch {
      let flag =
        switch error.subject {
        case .certificate: "--tls-certificate"
        case .key: "--tls-key"
        case .authorities: "--tls-ca"
        case .library: "--tls"
        }
      throw UsageError("\(flag): \(error.message)")
    }
  }
}

extension ToolOptions {
  /// What the server knows the caller by; nil: nothing.
  func knownBy() throws(UsageError) -> String? {
    guard let tokenFile else { return token }
    do throws(FileProblem) {
      return try readValueFile(tokenFile, acceptsPipe: true)
    } catch {
      throw UsageError("--token-file: \(tokenFile): \(error)")
    }
  }
}

extension FramedClient {
  /// Connects as the options say.
  convenience init(_ options: ToolOptions) throws {
    let token = try options.knownBy()
    try self.init(
      options.server, tls: options.tls.context(), serverName: options.tls.serverName,
      timeoutSeconds: options.timeoutSeconds)
    guard let token else { return }
    try check(call("Hello", metadata: authorization(token)))
  }
}

extension GRPCClient {
  /// Connects as the options say.
  convenience init(_ options: ToolOptions) throws {
    let token = try options.knownBy()
    try self.init(
      options.server, service: "configlookup.v1.ConfigLookup", tls: options.tls.context(["h2"]),
      serverName: options.tls.serverName, timeoutSeconds: options.timeoutSeconds)
    if let token { metadata = authorization(token) }
  }
}

private func authorization(_ token: String) -> RPCMetadata {
  var metadata = RPCMetadata()
  metadata.append("authorization", "Bearer \(token)")
  return metadata
}
