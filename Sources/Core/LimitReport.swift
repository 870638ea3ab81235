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
  /// Bytes that wait for slow callers, all together.
  case bufferedBytes = "buffered_bytes"
}

/// Counts how often each limit was reached, and logs it: a few lines a minute. Any thread.
public final class LimitReport: Sendable {
  private let logger: Logger
  private let budget = LineBudget()
  private let counts = Locked<[ServerLimit: UInt64]>([:])

  public init(_ logger: Logger = .silent) {
    self.logger = logger
  }

  /// A caller has reached the limit, and felt it. `peer` is where it is, if that is known.
  public func reached(_ limit: ServerLimit, _ message: @autoclosure () -> String, peer: @autoclosure () -> String = "")
  {
    counts.withLock { $0[limit, default: 0] += 1 }
    guard let suppressed = budget.take(limit.rawValue) else { return }
    // What goes with the day's work is nothing to see to.
    let fields: KeyValuePairs<String, Logger.Field> = [
      "limit": .string(limit.rawValue), "peer": .string(peer()), "suppressed": .integer(suppressed),
    ]
    if limit == .idleConnection || limit == .silentConnection {
      logger.debug("limit_reached", message(), fields)
    } else {
      logger.warning("limit_reached", message(), fields)
    }
  }

  /// How often it was reached.
  public func count(_ limit: ServerLimit) -> UInt64 {
    counts.withLock { $0[limit] ?? 0 }
  }
}
