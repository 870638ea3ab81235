internal import Core

/// Bounds that are the same for every server.
enum Limits {
  /// Bytes of an unknown path that are repeated to the caller.
  static let shownPathBytes = 128
  /// Bytes of request or reply storage that a stream keeps for the next call that uses it.
  static let keptStreamBytes = 4 * 1024
  /// Bytes that an open call takes beside its request and its replies: the stream here and in nghttp2, its handler and
  /// its timer (measured: see `docs/reference/limits.md`).
  static let openStreamBytes = 2048
  /// Bytes that a message takes in the queue of a reply beside its own.
  static let queuedMessageBytes = 64
  /// Connections, and streams, that are looked at in one iteration of the loop for what has lasted too long.
  static let tickUnits = 1024
  /// Streams kept for the next calls of a loop: those of one busy turn.
  static let keptStreams = 512
  /// Bytes of a reply that the client takes: those of the largest.
  static let replyBytes = ServedSize.replyBytes
  /// Bytes that the client gathers before it writes them.
  static let clientOutputBytes = 64 * 1024
}
