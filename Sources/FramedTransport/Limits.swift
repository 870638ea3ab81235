internal import Core

/// Bounds of one connection that speaks frames. The defaults are what a server runs with; tests make them small.
public struct FramedLimits: Sendable {
  /// Bytes of a frame from a client, without its length prefix. Part of the contract (`frame.proto`).
  public var frameBytes = 64 * 1024
  /// Calls open at once: a thousand watches, and lookups beside them.
  public var openCalls = 1024
  /// What a connection may spend at once on frames that lead to nothing (see `FloodGuard`): the cancelling of all its
  /// calls at once, twice.
  public var floodCredits = 4000
  /// What it may spend each second for ever.
  public var floodCreditsPerSecond = 200.0
  /// Seconds without a frame and an open call after which a connection is drained, or twice as long; 0 for never.
  public var idleSeconds = 0.0
  /// Seconds after which a connection is drained, give or take a tenth; 0 for never.
  public var maximumAgeSeconds = 0.0

  public init() {}
}

/// Bounds of the framed protocol that are the same for every server.
enum Limits {
  /// Bytes of a frame from a server that the client takes: those of the largest reply, and of the frame around it.
  static let replyFrameBytes = ServedSize.replyBytes + 64 * 1024
  /// Bytes of the length in front of a frame.
  static let prefixBytes = 4
  /// Key-value pairs of one call: a trace context, credentials, a few of the caller's own.
  static let metadataPairs = 64
  /// Bytes of the keys and values of one call, as HTTP servers bound their headers.
  static let metadataBytes = 8 * 1024
  /// Bytes of a method's name that are repeated to the caller in an error.
  static let methodNameBytes = 128
  /// Bytes that an open call takes beside its request: the stream, its handler and its timer (measured: see
  /// `docs/reference/limits.md`).
  static let openStreamBytes = 1024
  /// Seconds a connection stays after its `go_away`, so that calls which crossed it get an answer.
  static let drainGraceSeconds = 0.1
  /// Bytes of reply storage that are kept for the next call of the loop.
  static let keptReplyBytes = 64 * 1024
}
