public import Core

/// How a cache is doing: a copy, as of one moment.
public struct CacheHealth: Sendable {
  /// A document that matches the filter and breaks a rule.
  public struct Rejected: Sendable, Hashable {
    public let itemID: String
    /// The path of the field.
    public let field: String
    public let problem: String
  }

  /// A key that several documents claim although one document per key is the rule.
  public struct Conflict: Sendable, Hashable {
    /// As ``cacheKey(entity:selector:identifier:variant:)`` makes it.
    public let cacheKey: String
    /// The `_id`, as text, of the document that answers.
    public let wins: String
    /// The `_id`, as text, of the first that does not.
    public let loses: String
  }

  /// Keys of the primary selector that have an answer.
  public var size = 0
  /// Bytes of the encoded documents that are held.
  public var byteCount = 0
  /// Since the contents were last confirmed; nil before the first load.
  public var ageSeconds: Double?
  public var isStreamActive = false
  public var isLoaded = false
  public var isValid = false
  public var loadedAt: WallTime?
  public var observedRevision = Revision.none
  public var lastChangeAt: WallTime?
  public var reconnects: UInt64 = 0
  public var resyncs: UInt64 = 0
  public var reloads: UInt64 = 0
  /// How long the last reload took, from its beginning until it was published; nil before the first.
  public var reloadSeconds: Double?
  public var drift: UInt64 = 0
  /// The first hundred, in order of `_id` as text.
  public var rejected: [Rejected] = []
  public var rejectedCount = 0
  /// The first hundred, in order of cache key.
  public var conflicts: [Conflict] = []
  public var conflictCount = 0
  /// The source's last error, while it lasts.
  public var sourceError: String?
}
