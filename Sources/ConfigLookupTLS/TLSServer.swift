// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The TLS configuration of a server's port, whose files may be reloaded. New connections use the new files; open
/// connections keep the previous ones. It may be used from any thread.
public final class TLSServer: Sendable {
  private let files: TLSFiles
  private let protocols: [String]
  private let clients: TLSContext.ClientCertificates
  private let current: Locked<TLSContext>

  /// Reads the files. See ``TLSContext/init(server:protocols:clients:)``.
  ///
  /// - Parameters:
  ///   - files: The certificate, its key, and the authorities of client certificates.
  ///   - protocols: The protocols that clients may offer by ALPN.
  ///   - clients: Whether clients need a certificate.
  /// - Throws: If a file cannot be read or does not contain what is needed.
  public init(
    _ files: TLSFiles, protocols: [String], clients: TLSContext.ClientCertificates = .required
  ) throws(TLSError) {
    self.files = files
    self.protocols = protocols
    self.clients = clients
    current = Locked(try TLSContext(server: files, protocols: protocols, clients: clients))
  }

  /// Reads the files again. If this fails, the configuration does not change.
  ///
  /// - Throws: If a file cannot be read or does not contain what is needed.
  public func reload() throws(TLSError) {
    let new = try TLSContext(server: files, protocols: protocols, clients: clients)
    // The previous context may be released here, outside the lock.
    let old = current.withLock { context in
      defer { context = new }
      return context
    }
    withExtendedLifetime(old) {}
  }

  /// Problems of the files that need attention, although TLS works.
  public var warnings: [String] { context.warnings }

  /// The context for new connections.
  public var context: TLSContext { current.withLock { $0 } }
}
