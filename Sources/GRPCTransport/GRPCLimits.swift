internal import Core

/// Bounds of gRPC, most of them per connection. The defaults are what a server runs with; tests make them small.
public struct GRPCLimits: Sendable {
  /// Calls open at once, as the client is told; more are refused before they begin. A thousand watches, and lookups
  /// beside them.
  public var openStreams = 1024
  /// Bytes of a request message. Part of the contract.
  public var requestBytes = 64 * 1024
  /// Key-value pairs of one call: a trace context, credentials, a few of the caller's own.
  public var metadataPairs = 64
  /// Bytes of their keys and values, as HTTP servers bound their headers.
  public var metadataBytes = 8 * 1024
  /// Bytes of all headers of a call, as the client is told: metadata, and what HTTP and gRPC add.
  public var headerListBytes = 16 * 1024
  /// Bytes of a header block as it comes, compressed, with the frames it is in.
  public var headerBlockBytes = 32 * 1024
  /// Bytes of requests that may be on their way at once, as HTTP/2 counts them: those of a thousand usual calls.
  public var receiveWindowBytes = 1024 * 1024
  /// Bytes of replies, not yet taken by the client's window, above which a stream is told to wait.
  public var streamBytesHigh = 64 * 1024
  /// Bytes below which it is told to go on.
  public var streamBytesLow = 16 * 1024
  /// Bytes at which it is cut: it went on although it was told to wait. Twice the largest reply.
  public var streamBytesLimit = 2 * ServedSize.replyBytes
  /// Bytes of waiting replies that no other connection shares, from which on further calls are refused: a client with a
  /// window of nothing could ask for list after list.
  public var ownReplyBytes = 4 * 1024 * 1024
  /// Bytes of them above which a stream with replies that wait is told to wait, however few are its own: a client with
  /// a window of nothing could open watch after watch. A stream of which nothing waits may go on up to `ownReplyBytes`.
  public var ownStreamBytesHigh = 256 * 1024
  /// Bytes of a request that are read and dropped after the call has its status: a proxy may pass the status on only
  /// once it could pass the request on.
  public var droppedRequestBytes = 1024 * 1024
  /// Time in which that rest must come.
  public var droppedRequestTimeout = Duration.seconds(5)
  /// Seconds in which a request that has begun must be whole.
  public var requestSeconds = 10.0
  /// Seconds after which the reply to a unary call is given up if the client's window takes nothing of it.
  public var stalledReplySeconds = 60.0
  /// Seconds without an open call after which a connection is drained; 0 for never.
  public var idleSeconds = 0.0
  /// Seconds without a byte from the client after which it is asked for a sign of life.
  public var keepaliveSeconds = 60.0
  /// Seconds in which that sign must come.
  public var keepaliveTimeoutSeconds = 20.0
  /// A client's own PINGs may come so often, and oftener while it gets replies. gRPC's usual default of 5 minutes would
  /// keep watches from noticing that their server is gone.
  public var pingIntervalSeconds = 9.0
  /// PINGs ahead of their time before the connection is ended.
  public var pingStrikes = 2
  /// What a connection may spend at once on frames that lead to nothing (see `FloodGuard`): the cancelling of all its
  /// calls at once, twice.
  public var floodCredits = 4000
  /// What it may spend each second for ever.
  public var floodCreditsPerSecond = 200.0
  /// Seconds that a client which does not answer PINGs has to see the first GOAWAY of a drain.
  public var drainGraceSeconds = 1.0
  /// Seconds between two looks at what has lasted too long.
  public var tickSeconds = 1.0

  public init() {}
}
