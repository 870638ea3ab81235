// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupTLS

/// A listener and the endpoint that serves its connections. The event loops belong to the caller.
public final class ConnectionServer: Sendable {
  /// The options of a server.
  public struct Configuration: Sendable {
    /// The address to listen on.
    public var listen: HostAndPort
    /// Maximum number of open connections. Further connections are closed at once, and counted.
    public var maximumConnections = 10_000
    /// Maximum number of open connections of one address.
    public var maximumConnectionsPerAddress = Int.max
    /// The limits of each connection.
    public var limits = ConnectionLimits()
    /// The TLS configuration; nil for cleartext connections.
    public var tls: TLSServer?

    /// Creates a configuration with the default limits, without TLS.
    ///
    /// - Parameter listen: The address to listen on.
    public init(listen: HostAndPort) {
      self.listen = listen
    }
  }

  private let endpoint: any ConnectionEndpoint
  private let listener: Listener
  private let quota: ConnectionQuota

  /// Starts to listen and to serve.
  ///
  /// - Parameters:
  ///   - endpoint: Serves the accepted connections.
  ///   - group: The event loops, which must outlive the server.
  ///   - configuration: The options.
  ///   - logger: Receives log lines about peers.
  ///   - report: Counts and logs rejections.
  /// - Throws: If the server cannot listen on the address.
  public init(
    endpoint: any ConnectionEndpoint, group: EventLoopGroup, configuration: Configuration, logger: Logger,
    report: LimitReport = LimitReport()
  ) throws(NetworkError) {
    let quota = ConnectionQuota(
      limit: configuration.maximumConnections, hostLimit: configuration.maximumConnectionsPerAddress)
    listener = try Listener(
      configuration.listen, group: group, quota: quota, limits: configuration.limits, tls: configuration.tls,
      logger: logger, report: report
    ) { endpoint.open($0) }
    self.endpoint = endpoint
    self.quota = quota
  }

  /// The address on which the server listens, with the actual port.
  public var address: SocketAddress { listener.address }

  /// Number of open connections.
  public var connectionCount: Int { quota.count }

  /// Rejects new connections and calls, and closes connections when their calls have ended. May be called from any
  /// thread.
  public func drain() {
    listener.close()
    endpoint.drain()
  }

  /// Waits until the last connection has been closed. Must not be called on an event loop's thread.
  ///
  /// - Parameter deadline: The time at which the wait ends.
  /// - Returns: False if the deadline passed first.
  public func waitUntilDrained(deadline: MonotonicTime) -> Bool {
    quota.waitUntilEmpty(deadline: deadline)
  }

  /// Closes the listener and all connections. The event loops continue to run; their owner stops them. May be called
  /// from any thread.
  public func stop() {
    listener.close()
    endpoint.close()
  }
}
