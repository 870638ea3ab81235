internal import Core

/// The server's side of TLS on one port, whose files may be replaced: new connections take the new ones, open ones
/// keep theirs. Any thread.
public final class TLSServer: Sendable {
  private let files: TLSFiles
  private let protocols: [String]
  private let clients: TLSContext.ClientCertificates
  private let current: Locked<TLSContext>

  /// Reads the files. See ``TLSContext/init(server:protocols:clients:)``.
  public init(
    _ files: TLSFiles, protocols: [String], clients: TLSContext.ClientCertificates = .required
  ) throws(TLSError) {
    self.files = files
    self.protocols = protocols
    self.clients = clients
    current = Locked(try TLSContext(server: files, protocols: protocols, clients: clients))
  }

  /// Reads the files again. If that fails, all stays as it was.
  public func reload() throws(TLSError) {
    let new = try TLSContext(server: files, protocols: protocols, clients: clients)
    // What it replaces may end here, after the lock.
    let old = current.withLock { context in
      defer { context = new }
      return context
    }
    withExtendedLifetime(old) {}
  }

  /// What the files hold that somebody should see to.
  public var warnings: [String] { context.warnings }

  /// What a new connection goes by.
  public var context: TLSContext { current.withLock { $0 } }
}
