// SPDX-License-Identifier: Apache-2.0
/// The limits of a server that clients can reach, with their names in metrics and logs.
public enum ServerLimit: String, Sendable, CaseIterable {
  /// The number of all connections.
  case connections
  /// The number of connections from one address.
  case connectionsPerAddress = "connections_per_address"
  /// The number of concurrent calls on one connection.
  case callsPerConnection = "calls_per_connection"
  /// The size of a request in bytes.
  case requestBytes = "request_bytes"
  /// The number of seconds within which a new connection must send its first bytes.
  case silentConnection = "silent_connection"
  /// The number of seconds within which a connection must have a call.
  case idleConnection = "idle_connection"
  /// The number of all watches.
  case subscribers
  /// The number of changed keys in the queue of one watch.
  case queuedKeys = "queued_keys"
  /// The number of lookups that wait for their `min_revision`.
  case waitingCalls = "waiting_calls"
  /// The number of bytes that are buffered for all clients.
  case bufferedBytes = "buffered_bytes"
  /// The number of all health watches.
  case healthWatches = "health_watches"
  /// The number of health watches on one connection.
  case healthWatchesPerConnection = "health_watches_per_connection"
  /// The number of reflection streams on one connection.
  case reflectionStreams = "reflection_streams_per_connection"
  /// The number of all connections to the HTTP port.
  case httpConnections = "http_connections"
  /// The number of connections to the HTTP port from one address.
  case httpConnectionsPerAddress = "http_connections_per_address"
  /// The time within which a new connection to the HTTP port must send a whole request.
  case httpFirstRequest = "http_first_request"

  /// Whether the limit is reached in normal operation, too, so that its log lines have the level `debug`.
  var isRoutine: Bool {
    switch self {
    case .idleConnection, .silentConnection, .httpFirstRequest: true
    default: false
    }
  }
}

/// Counts how often each limit was reached, and logs it at a limited rate. Any thread may use it.
public final class LimitReport: Sendable {
  private let logger: RateLimitedLogger
  private let counts = Locked<[ServerLimit: UInt64]>([:])

  /// Creates a report.
  ///
  /// - Parameter logger: receives the log lines.
  public init(_ logger: Logger = .silent) {
    self.logger = RateLimitedLogger(logger)
  }

  /// Counts and logs that a client reached a limit and was rejected or disconnected.
  ///
  /// - Parameters:
  ///   - limit: the limit.
  ///   - message: the log message. It is evaluated only if the line is written.
  ///   - peer: the address of the client, if known.
  public func recordRejection(
    _ limit: ServerLimit, _ message: @autoclosure () -> String, peer: @autoclosure () -> String = ""
  ) {
    counts.withLock { $0[limit, default: 0] += 1 }
    logger.log(
      limit.isRoutine ? .debug : .warning, "limit_reached", reason: limit.rawValue, message(),
      ["limit": .string(limit.rawValue), "peer": .string(peer())])
  }

  /// Returns the number of times that a limit was reached.
  ///
  /// - Parameter limit: the limit.
  /// - Returns: the number since the report was created.
  public func count(_ limit: ServerLimit) -> UInt64 {
    counts.withLock { $0[limit] ?? 0 }
  }
}
