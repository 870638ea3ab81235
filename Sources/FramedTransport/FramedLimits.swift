// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The limits of one connection that uses the framed protocol. The defaults are those of the server; tests reduce them.
public struct FramedLimits: Sendable {
  /// Maximum number of bytes of a frame from a client, without its length prefix. Part of the contract (`frame.proto`).
  public var frameBytes = 64 * 1024
  /// Maximum number of open calls: a thousand watches, and some lookups in addition.
  public var openCalls = 1024
  /// Maximum number of credits for frames that have no effect (see `FloodGuard`). They allow a client to cancel all its
  /// calls at once, twice.
  public var floodCredits = 4000
  /// Number of credits that a connection regains in each second.
  public var floodCreditsPerSecond = 200.0
  /// Time without a frame and an open call after which a connection is drained. The actual time may be up
  /// to twice as long. Zero stands for no limit.
  public var idleTimeout = Duration.zero
  /// Age at which a connection is drained, plus or minus up to a tenth. Zero stands for no limit.
  public var maximumAge = Duration.zero

  /// Creates limits with the server's defaults.
  public init() {}
}

/// The limits of the framed protocol that are the same for every server.
extension FramedLimits {
  /// Maximum number of bytes of a frame from a server that the client accepts: the largest reply, and its envelope.
  static let replyFrameBytes = ServedSize.replyBytes + 64 * 1024
  /// Number of bytes of the length prefix of a frame.
  static let prefixBytes = 4
  /// Maximum number of key-value pairs of one call: a trace context, credentials, and some of the caller's own.
  static let metadataPairs = 64
  /// Maximum number of bytes of the keys and values of one call, in the range that HTTP servers allow for headers.
  static let metadataBytes = 8 * 1024
  /// Maximum number of bytes of a method's name that an error message repeats.
  static let methodNameBytes = 128
  /// Number of bytes that an open call takes in addition to its request: the stream, its handler and its timer
  /// (measured; see `docs/reference/limits.md`).
  static let openStreamBytes = 1024
  /// Time that a connection stays open after its `go_away`, so that calls that were in transit are
  /// answered.
  static let drainGracePeriod = Duration.milliseconds(100)
  /// Maximum number of bytes of reply storage that is kept for the next call of the event loop.
  static let keptReplyBytes = 64 * 1024
}
