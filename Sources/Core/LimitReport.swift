/// The bounds of a server that callers can reach, as metrics and log name them.
public enum ServerLimit: String, Sendable, CaseIterable {
  /// Connections in all.
  case connections
  /// Connections from one address.
  case connectionsPerAddress = "connections_per_address"
  /// Calls open at once on one connection.
  case callsPerConnection = "calls_per_connection"
  /// Bytes of one request.
  case requestBytes = "request_bytes"
  /// Seconds in which a new connection has to say something.
  case silentConnection = "silent_connection"
  /// Seconds in which a connection has to have a call.
  case idleConnection = "idle_connection"
  /// Watches in all.
  case subscribers
  /// Changed keys that wait for one subscriber.
  case queuedKeys = "queued_keys"
  /// Lookups that wait for their `min_revision`, in all.
  case waitingCalls = "waiting_calls"
  /// Bytes that wait for slow callers, all together.
  case bufferedBytes = "buffered_bytes"
  /// Watches of health in all.
  case healthWatches = "health_watches"
  /// Watches of health on one connection.
  case healthWatchesPerConnection = "health_watches_per_connection"
  /// Streams of questions to reflection on one connection.
  case reflectionStreams = "reflection_streams_per_connection"
  /// Connections to the HTTP port in all.
  case httpConnections = "http_connections"
  /// Connections to the HTTP port from one address.
  case httpConnectionsPerAddress = "http_connections_per_address"
  /// Time in which a new connection to the HTTP port has to send a whole request.
  case httpFirstRequest = "http_first_request"

  /// Whether the limit is reached in normal operation too, so that its log lines are of level `debug`.
  var isRoutine: Bool {
    switch self {
    case .idleConnection, .silentConnection, .httpFirstRequest: true
    default: false
    }
  }
}

/// Counts how often each limit was reached, and logs it: a few lines a minute. Any thread.
public final class LimitReport: Sendable {
  private let logger: RateLimitedLogger
  private let counts = Locked<[ServerLimit: UInt64]>([:])

  public init(_ logger: Logger = .silent) {
    self.logger = RateLimitedLogger(logger)
  }

  /// A caller has reached the limit, and felt it. `peer` is where it is, if that is known.
  public func reached(_ limit: ServerLimit, _ message: @autoclosure () -> String, peer: @autoclosure () -> String = "")
  {
    counts.withLock { $0[limit, default: 0] += 1 }
    logger.log(
      limit.isRoutine ? .debug : .warning, "limit_reached", reason: limit.rawValue, message(),
      ["limit": .string(limit.rawValue), "peer": .string(peer())])
  }

  /// How often it was reached.
  public func count(_ limit: ServerLimit) -> UInt64 {
    counts.withLock { $0[limit] ?? 0 }
  }
}
