// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The limits of gRPC, most of them for each connection. The defaults are those of the server; tests reduce them.
public struct GRPCLimits: Sendable {
  /// Maximum number of open calls, which SETTINGS announces to the client. Further calls are refused before they are
  /// opened. The default allows a thousand watches, and some lookups in addition.
  public var openStreams = 1024
  /// Maximum number of bytes of a request message. Part of the contract.
  public var requestBytes = 64 * 1024
  /// Maximum number of key-value pairs of one call: a trace context, credentials, and some of the caller's own.
  public var metadataPairs = 64
  /// Maximum number of bytes of the keys and values of one call, in the range that HTTP servers allow for headers.
  public var metadataBytes = 8 * 1024
  /// Maximum number of bytes of all headers of a call, which SETTINGS announces to the client: the metadata, and the
  /// headers of HTTP and gRPC.
  public var headerListBytes = 16 * 1024
  /// Maximum number of bytes of a header block in its compressed form, with its frames.
  public var headerBlockBytes = 32 * 1024
  /// The receive window of the connection in bytes (HTTP/2 flow control). It has room for a thousand usual calls.
  public var receiveWindowBytes = 1024 * 1024
  /// Number of buffered reply bytes of a stream above which its handler must wait.
  public var streamBytesHigh = 64 * 1024
  /// Number of buffered reply bytes of a stream below which its handler is notified that it may continue.
  public var streamBytesLow = 16 * 1024
  /// Number of buffered reply bytes at which a stream is ended, because its handler continued although it had to wait.
  /// The default is twice the largest reply.
  public var streamBytesLimit = 2 * ServedSize.replyBytes
  /// Number of buffered reply bytes that no other connection shares above which further calls are rejected. Without it,
  /// a client with a window of 0 could request list after list.
  public var ownReplyBytes = 4 * 1024 * 1024
  /// Number of these bytes above which a stream with buffered replies must wait, even if few of them are its own.
  /// Without it, a client with a window of 0 could open watch after watch. A stream without buffered replies may
  /// continue up to `ownReplyBytes`.
  public var ownStreamBytesHigh = 256 * 1024
  /// Maximum number of bytes of a request that are read and discarded after the call has its status. A proxy may
  /// forward the status only after it has forwarded the request.
  public var droppedRequestBytes = 1024 * 1024
  /// Maximum time to receive that rest of the request.
  public var droppedRequestTimeout = Duration.seconds(5)
  /// Maximum time from the beginning of a request until it is complete.
  public var requestTimeout = Duration.seconds(10)
  /// Time after which the reply to a unary call is given up if the client's window accepts none of it.
  public var stalledReplyTimeout = Duration.seconds(60)
  /// Time without an open call after which a connection is drained. Zero stands for no limit.
  public var idleTimeout = Duration.zero
  /// Time without a byte from the client after which a keepalive PING is sent.
  public var keepaliveTime = Duration.seconds(60)
  /// Maximum time until that PING is acknowledged.
  public var keepaliveTimeout = Duration.seconds(20)
  /// Minimum time between a client's own PINGs; they may be more frequent while it receives replies. With
  /// gRPC's usual default of 5 minutes a watch could not detect in time that its server is gone.
  public var minimumPingInterval = Duration.seconds(9)
  /// Number of PINGs that may be too early before the connection is closed.
  public var pingStrikes = 2
  /// Maximum number of credits for frames that have no effect (see `FloodGuard`). They allow a client to cancel all its
  /// calls at once, twice.
  public var floodCredits = 4000
  /// Number of credits that a connection regains in each second.
  public var floodCreditsPerSecond = 200.0
  /// Time that a client which does not acknowledge PINGs has to receive the first GOAWAY of a drain.
  public var drainGracePeriod = Duration.seconds(1)
  /// Time between two checks of timeouts.
  public var tickInterval = Duration.seconds(1)

  /// Creates limits with the server's defaults.
  public init() {}
}
