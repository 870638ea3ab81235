public import Core
public import TLS

/// A listener, loops that are the caller's, and an endpoint that serves what is accepted.
public final class ConnectionServer: Sendable {
  public struct Configuration: Sendable {
    public var listen: HostAndPort
    /// Connections open at once; more are closed at once and counted.
    public var maximumConnections = 10_000
    /// The same of one address.
    public var maximumConnectionsPerAddress = Int.max
    public var limits = ConnectionLimits()
    /// Nil: connections are plain.
    public var tls: TLSServer?

    public init(listen: HostAndPort) {
      self.listen = listen
    }
  }

  private let endpoint: any ConnectionEndpoint
  private let listener: Listener
  private let quota: ConnectionQuota

  /// Listens and serves from then on.
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

  /// Where it listens, with the port that was taken.
  public var address: SocketAddress { listener.address }

  /// Connections open now.
  public var connectionCount: Int { quota.count }

  /// Takes no new connections and no new calls; connections close when their calls have ended. Any thread.
  public func drain() {
    listener.close()
    endpoint.drain()
  }

  /// Waits for the last connection to close. False if the deadline came first. Not on a loop's thread.
  public func waitUntilDrained(deadline: MonotonicTime) -> Bool {
    quota.waitUntilEmpty(deadline: deadline)
  }

  /// Closes everything at once. The loops go on; their owner stops them. Any thread.
  public func stop() {
    listener.close()
    endpoint.close()
  }
}
