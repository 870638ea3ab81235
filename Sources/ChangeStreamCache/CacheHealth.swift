// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// The health of a cache: a copy, as of one moment.
public struct CacheHealth: Sendable {
  /// A document that matches the filter and violates a rule.
  public struct Rejected: Sendable, Hashable {
    /// The document's `_id` as text.
    public let itemID: String
    /// The path of the field that violates the rule.
    public let field: String
    /// A description of the problem, without the document's text.
    public let problem: String
  }

  /// A key that several documents claim although it may have only one.
  public struct Conflict: Sendable, Hashable {
    /// The key in the form that ``cacheKey(entity:selector:identifier:variant:)`` makes.
    public let cacheKey: String
    /// The `_id`, as text, of the document that is served.
    public let wins: String
    /// The `_id`, as text, of the first document that is not served.
    public let loses: String
  }

  /// The number of keys of the primary selector that have an answer.
  public var size = 0
  /// The number of bytes of all encoded documents in memory.
  public var byteCount = 0
  /// The time since the contents were last verified; nil before the first load.
  public var age: Duration?
  /// Whether a change stream is open, continues from the served state, and has answered recently.
  public var isStreamActive = false
  /// Whether the cache has been loaded.
  public var isLoaded = false
  /// Whether the cache is loaded and its contents were verified within the TTL.
  public var isValid = false
  /// When the collection was last read completely; nil before the first load.
  public var loadedAt: WallTime?
  /// The revision up to which every change has been applied.
  public var observedRevision = Revision.none
  /// The time by which the position of the stream was behind the time of the database in the last reply
  /// (``StreamProgress/majorityLag``).
  public var majorityLag = Duration.zero
  /// The commit time of the last applied change; nil before the first one.
  public var lastChangeAt: WallTime?
  /// The number of times that the change stream was closed and had to be opened again.
  public var reconnects: UInt64 = 0
  /// The number of completed reloads with the reason `resync`, e.g. after lost history.
  public var resyncs: UInt64 = 0
  /// The number of completed reads of the collection.
  public var reloads: UInt64 = 0
  /// The duration of the last reload, from its start to its publication; nil before the first.
  public var reloadDuration: Duration?
  /// The number of documents that a TTL reload found changed although the stream had delivered no change of them.
  public var drift: UInt64 = 0
  /// The first hundred rejected documents, in order of `_id` as text.
  public var rejected: [Rejected] = []
  /// The number of all rejected documents.
  public var rejectedCount = 0
  /// The first hundred conflicts, in order of cache key.
  public var conflicts: [Conflict] = []
  /// The number of all conflicts.
  public var conflictCount = 0
  /// The source's last error, until the source answers again.
  public var sourceError: String?
}
