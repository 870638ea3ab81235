internal import Core

/// Bounds of one connection. The defaults are what a server runs with; tests make them small.
public struct ConnectionLimits: Sendable {
  /// Unsent bytes above which streams are told to wait and no further request is read. Room for a few hundred replies
  /// of usual size between two turns; a thousand peers that never read cost 256 MiB, not more.
  public var unsentBytesHigh = 256 * 1024
  /// Unsent bytes below which both go on: far enough under the high mark that they do not alternate with each write.
  public var unsentBytesLow = 64 * 1024
  /// Unsent bytes at which the connection is cut: a stream went on although it was told to wait. Twice the largest
  /// reply: one that waits, and one that was written while there was room.
  public var unsentBytesLimit = 2 * ServedSize.replyBytes
  /// Seconds in which a peer has to take at least a byte of those that wait for it.
  public var stalledWriteSeconds = 30.0
  /// Seconds in which a request that has begun must be whole: against peers that hold a place by a byte a second.
  public var incompleteInputSeconds = 10.0
  /// Seconds from accepting a connection to the end of its TLS handshake: a few round trips, on a bad day.
  public var handshakeSeconds = 10.0
  /// Seconds a connection waits for the peer to close after our last byte, so that it can read that byte: closing with
  /// unread input would reset the connection and throw away what is on its way.
  public var lingerSeconds = 1.0

  public init() {}
}

/// Bounds of the HTTP server. The defaults are what a server runs with; tests make them small.
public struct OperationsLimits: Sendable {
  /// Bytes of the request line and the headers together: what probes, scrapers and proxies send, and to spare.
  public var headerBytes = 8 * 1024
  /// Bytes of a request's body: a command of an operator.
  public var bodyBytes = 64 * 1024
  /// Time from accepting a connection to its first whole request, its TLS handshake included.
  public var firstRequestTimeout = Duration.seconds(5)
  /// Seconds after its last whole request at which a connection is closed, whether it sends nothing or a byte a second.
  /// Longer than the 15 s between two requests of most scrapers.
  public var idleSeconds = 30.0
  /// Connections open at once. Far more than probes and scrapers need, far fewer than the descriptors that lookups live
  /// on. One more takes the place of the connection that is least of use.
  public var connections = 128
  /// The same of one address.
  public var connectionsPerAddress = 64
  /// Seconds between two looks at who is idle.
  public var lookSeconds = 1.0

  public init() {}
}

/// Bounds of the loops and the listener.
enum Limits {
  /// Bytes of one `read`: about a hundred requests of usual size. The connections of a loop share one buffer. A
  /// connection that fills it continues with low priority.
  static let readBytes = 8 * 1024
  /// Bytes of one `read` of a connection with low priority.
  static let lowPriorityReadBytes = 1024
  /// Time that an event-loop iteration spends on queued connections: other connections wait about this long at most.
  static let resumeNanoseconds: UInt64 = 500_000
  /// An incomplete request up to this many bytes is copied in front of the next read; a longer one is read in place.
  static let smallInputBytes = 4 * 1024
  /// Reads in one event-loop iteration from a connection whose bytes are discarded.
  static let dropsPerTurn = 4
  /// The first size of a write buffer.
  static let writeBufferBytes = 16 * 1024
  /// Bytes of write buffers that a loop keeps for its next turns: those of thirty clients that have 32 replies of 2 KiB
  /// coming each. What is above goes back to the system, and getting it again costs more than a lookup.
  static let keptWriteBytes = 4 * 1024 * 1024
  /// Bytes that the kernel may hold unsent for one connection before it says "not writable".
  static let kernelUnsentBytes: Int32 = 128 * 1024
  /// Connections that are written to before the first of them is flushed.
  static let touchedConnections = 64
  /// Connections taken from the listener in one turn.
  static let acceptsPerTurn = 16
  /// Bytes that an open connection takes by itself, whatever is spoken on it: measured with idle HTTP/2 connections, of
  /// which nghttp2 takes most (see `docs/reference/limits.md`).
  static let connectionBytes = 16 * 1024
  /// Bytes that TLS takes beside it.
  static let tlsConnectionBytes = 32 * 1024
  /// Seconds without accepting when there are no descriptors left: a listener that stays readable is a spin.
  static let acceptPauseSeconds = 0.1
  /// HTTP connections that are accepted between two checks of the limits: so many may be open beyond them for a moment.
  static let acceptsPerReview = 32
  /// Seconds after which a further address of a name is tried beside those that have not answered yet: the value that
  /// RFC 8305 recommends ("Connection Attempt Delay").
  static let connectionAttemptDelaySeconds = 0.25
  /// Seconds between two looks at whether an HTTP exchange is still wanted.
  static let cancellationCheckSeconds = 0.2
  /// Bytes of the head of an HTTP reply: a status and some headers.
  static let replyHeadBytes = 16 * 1024
}
