/// Bounds of the command-line tool.
enum Limits {
  /// Bytes of what `/health/ready` answers: a few reasons for each cache.
  static let healthBytes = 64 * 1024
  /// Bytes of a file that `seed` reads: several documents of the largest size.
  static let seedFileBytes = 256 * 1024 * 1024
  /// Bytes of a document that MongoDB takes.
  ///
  /// https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size
  static let documentBytes = 16 * 1024 * 1024
}
