// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The limits of one connection. The defaults are those of the server; tests reduce them.
public struct ConnectionLimits: Sendable {
  /// The high-water mark in bytes: above it streams must wait, and no further request is read. The default has room for
  /// a few hundred replies of usual size between two event-loop iterations; a thousand peers that never read cost at
  /// most 256 MiB.
  public var unsentBytesHigh = 256 * 1024
  /// The low-water mark in bytes: below it streams and requests continue. It is far enough below the high-water mark
  /// that the two states do not alternate with each write.
  public var unsentBytesLow = 64 * 1024
  /// Number of unsent bytes at which the connection is closed, because a stream continued although it had to wait. The
  /// default is twice the largest reply: one that is waiting, and one that was written while there was room.
  public var unsentBytesLimit = 2 * ServedSize.replyBytes
  /// Maximum time in which a peer must accept at least one of the bytes that wait for it.
  public var stalledWriteTimeout = Duration.seconds(30)
  /// Maximum time from the beginning of a request until it is complete. It limits peers that occupy a slot
  /// by sending one byte per second.
  public var incompleteInputTimeout = Duration.seconds(10)
  /// Maximum time from accepting a connection to the end of its TLS handshake. It has room for a few round
  /// trips over a slow network.
  public var handshakeTimeout = Duration.seconds(10)
  /// Time for which a connection waits until the peer closes its side, after the last byte was sent.
  /// Without it, closing a connection with unread input would reset it and discard what is in transit.
  public var lingerTimeout = Duration.seconds(1)

  /// Creates limits with the server's defaults.
  public init() {}
}

/// The limits of the HTTP server. The defaults are those of the server; tests reduce them.
public struct OperationsLimits: Sendable {
  /// Maximum number of bytes of the request line and the headers together. It is more than probes, scrapers and proxies
  /// send.
  public var headerBytes = 8 * 1024
  /// Maximum number of bytes of a request's body, which is a command of an operator.
  public var bodyBytes = 64 * 1024
  /// Maximum time from accepting a connection to its first complete request, TLS handshake included.
  public var firstRequestTimeout = Duration.seconds(5)
  /// Time after its last complete request at which a connection is closed, whether it sends nothing or one
  /// byte per second. It is longer than the 15 s between two requests of most scrapers.
  public var idleTimeout = Duration.seconds(30)
  /// Maximum number of open connections. It is far more than probes and scrapers need, and far less than the number of
  /// descriptors that lookups need. A further connection replaces the one that is least used.
  public var connections = 128
  /// Maximum number of open connections of one address.
  public var connectionsPerAddress = 64
  /// Time between two checks for idle connections.
  public var checkInterval = Duration.seconds(1)

  /// Creates limits with the server's defaults.
  public init() {}
}

/// The limits of the event loops and the listener.
extension ConnectionLimits {
  /// Number of bytes of one `read`: about a hundred requests of usual size. The connections of a loop share one buffer.
  /// A connection that fills it continues with low priority.
  static let readBytes = 8 * 1024
  /// Number of bytes of one `read` of a connection with low priority.
  static let lowPriorityReadBytes = 1024
  /// Time from the start of an event-loop iteration after which each further connection handles one request only, and
  /// leaves the rest of what was read to a later iteration. Requests of the fast path are not counted.
  static let iterationNanoseconds: UInt64 = 250_000
  /// Time that an event-loop iteration spends on queued connections; other connections wait at most about this long.
  static let resumeNanoseconds: UInt64 = 250_000
  /// An incomplete request of up to this number of bytes is copied in front of the next read; a longer one is read in
  /// place.
  static let smallInputBytes = 4 * 1024
  /// Maximum number of reads in one event-loop iteration from a connection whose input is discarded.
  static let dropsPerIteration = 4
  /// The initial size of a write buffer in bytes.
  static let writeBufferBytes = 16 * 1024
  /// Maximum number of bytes of write buffers that a loop keeps for its next iterations: those of thirty clients that
  /// each receive 32 replies of 2 KiB. Larger amounts are returned to the system, and allocating them again costs more
  /// than a lookup.
  static let keptWriteBytes = 4 * 1024 * 1024
  /// Number of unsent bytes in the kernel at which a connection is no longer reported as writable.
  static let kernelUnsentBytes: Int32 = 128 * 1024
  /// Number of connections that are written to before the first of them is flushed.
  static let touchedConnections = 64
  /// Maximum number of connections that are accepted in one event-loop iteration.
  static let acceptsPerIteration = 16
  /// Number of bytes that an open connection takes by itself, with any protocol. It was measured with idle HTTP/2
  /// connections, of which nghttp2 takes most (see `docs/reference/limits.md`).
  static let connectionBytes = 16 * 1024
  /// Number of bytes that TLS takes in addition.
  static let tlsConnectionBytes = 32 * 1024
  /// Time for which accepting is paused when there are no descriptors left, because a listener that stays
  /// readable would cause a busy loop.
  static let acceptPause = Duration.milliseconds(100)
  /// Number of HTTP connections that are accepted between two checks of the limits, so the limits may be exceeded by
  /// this number for a moment.
  static let acceptsPerReview = 32
  /// Time after which a further address of a name is tried in addition to those that have not answered
  /// yet: the value that RFC 8305 recommends ("Connection Attempt Delay").
  static let connectionAttemptDelay = Duration.milliseconds(250)
  /// Time between two checks whether an HTTP exchange has been cancelled.
  static let cancellationCheckInterval = Duration.milliseconds(200)
  /// Maximum number of bytes of the head of an HTTP reply: a status and some headers.
  static let replyHeadBytes = 16 * 1024
}
