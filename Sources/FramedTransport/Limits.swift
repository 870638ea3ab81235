/// Bounds of the framed protocol.
enum Limits {
  /// Bytes of a frame from a client, without its length prefix. Part of the contract (`frame.proto`).
  static let frameBytes = 64 * 1024
  /// Bytes of a frame from a server that the client takes: the largest document (16 MiB), and what goes around it.
  static let replyFrameBytes = 17 * 1024 * 1024
  /// Bytes of the length in front of a frame.
  static let prefixBytes = 4
  /// Streams open at once on one connection: a client needs one watch, a proxy of many clients some hundred.
  static let openStreams = 1000
  /// Key-value pairs of one call: a trace context, credentials, a few of the caller's own.
  static let metadataPairs = 64
  /// Bytes of the keys and values of one call, as HTTP servers bound their headers.
  static let metadataBytes = 8 * 1024
  /// Bytes of a method's name that are repeated to the caller in an error.
  static let methodNameBytes = 128
  /// Seconds a connection stays after its `go_away`, so that calls which crossed it get an answer.
  static let drainGraceSeconds = 0.1
  /// Bytes of reply storage that are kept for the next call of the loop.
  static let keptReplyBytes = 64 * 1024
}
