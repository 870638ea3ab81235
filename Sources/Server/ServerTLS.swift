internal import Core
internal import TLS

/// TLS of both ports, from the same files.
struct ServerTLS: Sendable {
  /// Nil: plain.
  let rpc: TLSServer?
  let http: TLSServer?
  /// The files, as they were before they were read.
  let watched: WatchedFiles?

  /// Reads the files. Throws what is wrong, by flag.
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

  /// Reads the files again. If that fails, all stays as it was.
  func reload() throws(UsageError) {
    do throws(TLSError) {
      try rpc?.reload()
      try http?.reload()
    } catch {
      throw UsageError("\(error.subject.serverFlag): \(error.message)")
    }
  }

  /// To have the files read again when they change.
  func fileGroups(_ logger: Logger) -> [FileWatcher.Group] {
    guard let watched else { return [] }
    return [
      FileWatcher.Group(name: "tls", files: watched) {
        try reload()
        logWarnings(logger)
      }
    ]
  }

  /// What the files hold that somebody should see to.
  var warnings: [String] { rpc?.warnings ?? [] }

  /// Logs what an operator should look at, although it works.
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
