// SPDX-License-Identifier: Apache-2.0

/// The version or the product that a model behaves as.
public struct Personality: Sendable {
  /// The name in messages and on command lines.
  public var name: String
  /// The reply to `buildInfo`.
  public var version: String
  /// The highest wire version.
  public var maximumWireVersion: Int32
  /// Whether it is a replica set; otherwise it is a standalone server, which has no cluster time and no change streams.
  public var isReplicaSet = true
  /// The format of resume tokens.
  public var tokenVersion = 2
  /// Whether tokens have the text of AWS DocumentDB, which is not a `KeyString`.
  public var hasForeignTokens = false
  /// Whether collections can have post-images (since 6.0).
  public var hasImages = true
  /// Whether an insert of several documents is one entry of the oplog with one time (since 8.0).
  public var hasVectoredInserts = false
  /// Whether a write without a write concern waits for the majority (since 5.0).
  public var impliesMajority = true
  /// Whether replies have `operationTime`.
  public var reportsOperationTime = true
  /// After this time a `getMore` of a change stream is answered although its scan has not reached the end of the oplog
  /// (9.0, `internalOperationResponseMaxMS`), in seconds; nil for never.
  public var responseDeadline: Double?
  /// The answer to `replSetGetConfig` if it is an error.
  public var configurationError: CommandError?
  /// The answer to a change stream with `whenAvailable` if it is an error.
  public var whenAvailableError: CommandError?

  private init(_ name: String, _ version: String, _ wire: Int32, _ change: (inout Self) -> Void = { _ in }) {
    self.name = name
    self.version = version
    maximumWireVersion = wire
    change(&self)
  }

  /// MongoDB 4.2: tokens of version 1, and no post-images.
  public static let mongoDB42 = Personality("mongodb-4.2", "4.2.24", 8) {
    $0.tokenVersion = 1
    $0.hasImages = false
    $0.impliesMajority = false
    $0.whenAvailableError = CommandError(
      40575, "Location40575", "unrecognized value for the 'fullDocument' option to the $changeStream stage")
  }
  /// MongoDB 6.0.
  public static let mongoDB60 = Personality("mongodb-6.0", "6.0.19", 17)
  /// MongoDB 7.0.
  public static let mongoDB70 = Personality("mongodb-7.0", "7.0.16", 21)
  /// MongoDB 8.0: an insert of several documents has one time.
  public static let mongoDB80 = Personality("mongodb-8.0", "8.0.4", 25) { $0.hasVectoredInserts = true }
  /// MongoDB 9.0 with a response deadline of 100 ms.
  public static let mongoDB90 = Personality("mongodb-9.0", "9.0.0", 29) {
    $0.hasVectoredInserts = true
    $0.responseDeadline = 0.1
  }
  /// An Atlas Flex cluster, which answers commands that it does not allow with an error of its own.
  public static let atlasFlex = Personality("atlas-flex", "8.0.4", 25) {
    $0.hasVectoredInserts = true
    $0.configurationError = CommandError(8000, "AtlasError", "command not found")
  }
  /// AWS DocumentDB 5.0. The codes of its refusals are not documented.
  public static let documentDB = Personality("documentdb", "5.0.0", 13) {
    $0.hasForeignTokens = true
    $0.hasImages = false
    $0.impliesMajority = true
    $0.configurationError = CommandError(303, "FeatureNotSupported", "Feature not supported: replSetGetConfig")
    $0.whenAvailableError = CommandError(303, "FeatureNotSupported", "Option not supported: whenAvailable")
  }
  /// A mongod that is no member of a replica set.
  public static let standalone = Personality("standalone", "8.0.4", 25) {
    $0.isReplicaSet = false
    $0.reportsOperationTime = false
    $0.impliesMajority = false
  }

  /// All personalities.
  public static let all = [
    mongoDB42, mongoDB60, mongoDB70, mongoDB80, mongoDB90, atlasFlex, documentDB, standalone,
  ]
}
