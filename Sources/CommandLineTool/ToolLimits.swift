// SPDX-License-Identifier: Apache-2.0
/// Limits of the command-line tool.
enum ToolLimits {
  /// Maximum size of the body of `/health/ready`, in bytes: it contains a few reasons for each cache.
  static let healthBytes = 64 * 1024
  /// Maximum size of a file that `seed` reads, in bytes: several documents of the largest size.
  static let seedFileBytes = 256 * 1024 * 1024
  /// Maximum size of a BSON document in MongoDB, in bytes.
  ///
  /// https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size
  static let documentBytes = 16 * 1024 * 1024
}
