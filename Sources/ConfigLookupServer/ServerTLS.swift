// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupTLS

/// The TLS contexts of both ports, from the same files.
struct ServerTLS: Sendable {
  /// Nil for cleartext.
  let rpc: TLSServer?
  let http: TLSServer?
  /// The state of the files before they were read.
  let watched: WatchedFiles?

  /// Reads the files. Throws the problem, with the flag at fault.
  init(_ configuration: ServerConfiguration) throws(UsageError) {
    guard let files = configuration.tlsFiles else {
      rpc = nil
      http = nil
      watched = nil
      return
    }
    watched = WatchedFiles(files.paths)
    do throws(TLSError) {
      rpc = try TLSServer(files, protocols: ["h2"])
      // Probes have no certificate.
      http = configuration.isHTTPPlain ? nil : try TLSServer(files, protocols: ["http/1.1"], clients: .welcome)
    } catch {
      throw UsageError("\(error.subject.serverFlag): \(error.message)")
    }
  }

  /// Reads the files again. If that fails, the previous contents stay in force.
  func reload() throws(UsageError) {
    do throws(TLSError) {
      try rpc?.reload()
      try http?.reload()
    } catch {
      throw UsageError("\(error.subject.serverFlag): \(error.message)")
    }
  }

  /// The files to watch for changes.
  func fileGroups(_ logger: Logger) -> [FileWatcher.Group] {
    guard let watched else { return [] }
    return [
      FileWatcher.Group(name: "tls", files: watched) {
        try reload()
        logWarnings(logger)
      }
    ]
  }

  /// Problems of the files that do not prevent serving but need an operator's attention.
  var warnings: [String] { rpc?.warnings ?? [] }

  /// Logs ``warnings``.
  func logWarnings(_ logger: Logger) {
    for warning in warnings { logger.warning("tls_certificate", warning) }
  }
}

extension TLSError.Subject {
  fileprivate var serverFlag: String {
    switch self {
    case .certificate, .library: "--tls-certificate"
    case .key: "--tls-key"
    case .authorities: "--tls-client-ca"
    }
  }
}
