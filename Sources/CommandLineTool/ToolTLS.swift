// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigLookupTLS
internal import FramedTransport
internal import GRPCTransport

/// The TLS options of the command line.
struct ToolTLS: Sendable {
  /// `--tls`
  var isOn = false
  /// `--tls-ca`
  var authorities: String?
  /// `--tls-certificate`
  var certificate: String?
  /// `--tls-key`
  var key: String?
  /// `--tls-server-name`
  var serverName: String?

  /// The flags, which every command with a connection to the server takes.
  static let flags = FlagGroup<ToolOptions>(
    "TLS flags",
    [
      Flag(
        "tls", "Use TLS for the connection to the server.", default: "false, or true with another --tls flag",
        .toggle { $1.tls.isOn = $0 }),
      .file(
        "tls-ca", "PEM file of the CAs that may sign the server's certificate.", default: "those of the system",
        \.tls.authorities),
      // Not CONFIG_LOOKUP_TLS_CERTIFICATE and _KEY: in a container of the server, those are the server's own.
      .file(
        "tls-certificate", "PEM file of the client certificate. It needs --tls-key.",
        variable: "CONFIG_LOOKUP_CLIENT_TLS_CERTIFICATE", \.tls.certificate),
      .file(
        "tls-key", "PEM file of the private key of --tls-certificate, not encrypted.",
        variable: "CONFIG_LOOKUP_CLIENT_TLS_KEY", \.tls.key),
      Flag(
        "tls-server-name", "Name that the server's certificate must have.", default: "the host of --server",
        .value(placeholder: "NAME") {
          $1.tls.serverName = $0
          return nil
        }),
    ])

  /// Whether any flag requests TLS.
  var isWanted: Bool { isOn || authorities != nil || certificate != nil || key != nil || serverName != nil }

  /// Makes the context of a connection; nil for a cleartext connection.
  ///
  /// - Parameters:
  ///   - protocols: The protocols that the client offers by ALPN.
  ///   - isForced: Whether the connection uses TLS although no flag requests it.
  /// - Throws: The flag whose file is missing or wrong.
  func context(_ protocols: [String] = [], isForced: Bool = false) throws(UsageError) -> TLSContext? {
    guard isWanted || isForced else { return nil }
    guard (certificate == nil) == (key == nil) else {
      throw UsageError("--tls-certificate and --tls-key: give both or neither")
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

extension FramedClient {
  /// Connects with the address, the TLS files and the token of the options.
  convenience init(_ options: ToolOptions) throws {
    let token = try options.bearerToken()
    try self.init(
      options.server, tls: options.tls.context(), serverName: options.tls.serverName,
      connectTimeout: options.timeout)
    guard let token else { return }
    try check(call("Hello", metadata: authorization(token)))
  }
}

extension GRPCClient {
  /// Connects with the address, the TLS files and the token of the options.
  convenience init(_ options: ToolOptions) throws {
    let token = try options.bearerToken()
    try self.init(
      options.server, service: "configlookup.v1.ConfigLookup", tls: options.tls.context(["h2"]),
      serverName: options.tls.serverName, connectTimeout: options.timeout)
    if let token { metadata = authorization(token) }
  }
}

private func authorization(_ token: String) -> RPCMetadata {
  var metadata = RPCMetadata()
  metadata.append("authorization", "Bearer \(token)")
  return metadata
}
