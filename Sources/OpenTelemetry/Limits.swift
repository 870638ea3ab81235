/// Bounds of what a collector can cost.
enum Limits {
  /// Seconds the last export may take: the server is ending.
  static let lastExportSeconds = 1.0
  /// Seconds a connection may take to come about: while it does, the thread cannot be told to end.
  static let connectSeconds = 2.0
  /// Seconds after which one who waits looks whether it is still wanted.
  static let lookSeconds = 0.2
  /// Bytes of a reply's head: a status and some headers.
  static let replyHeadBytes = 16 * 1024
}
