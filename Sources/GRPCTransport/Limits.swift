internal import Core

/// Bounds that are the same for every server.
enum Limits {
  /// Bytes of an unknown path that are repeated to the caller.
  static let shownPathBytes = 128
  /// Bytes of request or reply storage that a stream keeps for the next call that uses it.
  static let keptStreamBytes = 16 * 1024
  /// Streams kept for the next calls of a loop: those of one busy turn.
  static let keptStreams = 512
  /// Seconds between two log lines about connections that were ended for what their clients did.
  static let reportSeconds = 10.0
  /// Bytes of a reply that the client takes: those of the largest.
  static let replyBytes = ServedSize.replyBytes
  /// Bytes that the client gathers before it writes them.
  static let clientOutputBytes = 64 * 1024
}
