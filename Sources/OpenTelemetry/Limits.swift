/// Bounds of what a collector can cost.
enum Limits {
  /// Seconds the last export may take: the server is ending.
  static let lastExportSeconds = 1.0
  /// Seconds a connection may take to come about: while it does, the thread cannot be told to end.
  static let connectSeconds = 2.0
}
