// SPDX-License-Identifier: Apache-2.0
public import ChangeStreamCache

extension SourceConfigDocument: CachedModel {
  /// The key spaces of source configs.
  public enum Space {
    /// The space of `source_id`.
    public static let sourceID: UInt8 = 0
    /// The space of landing containers, for `blob_trigger` sources only.
    public static let container: UInt8 = 1
    /// The space of `ai_agent_id`.
    public static let aiAgentID: UInt8 = 2
  }

  /// The values that decide which source a blob belongs to.
  public struct CachedValue: Sendable, Equatable {
    /// The id of the source.
    public let sourceID: String
    /// The landing container of a `blob_trigger` source; empty for other sources.
    public let container: String
    /// The compiled path pattern; nil if the source has none.
    public let pattern: PathPattern?
    /// The names of the placeholders whose texts are returned.
    public let extractFields: [String]
    /// The compiled file pattern; nil if the source has none.
    public let filePattern: Glob?

    /// The number of literal characters of the path pattern; 0 without one. Of several sources that match, the one with
    /// the greatest number wins.
    public var literalCount: Int { pattern?.literalCount ?? 0 }

    /// Returns whether a blob in the container belongs to this source: whether the path pattern and the file pattern,
    /// where given, match it.
    ///
    /// - Parameter path: the path of the blob in UTF-8.
    /// - Returns: true if the blob matches.
    public func matches(path: UnsafeRawBufferPointer) -> Bool {
      (filePattern?.matchesLastComponent(of: path) ?? true) && (pattern?.matches(path) ?? true)
    }

    /// Returns the fields that the path pattern extracts from a path.
    ///
    /// - Parameter path: the path of the blob in UTF-8.
    /// - Returns: the names and texts, in order of name; empty without a pattern or without a match.
    public func fields(of path: UnsafeRawBufferPointer) -> [StringPair] {
      pattern?.fields(of: path, extracting: extractFields) ?? []
    }
  }

  /// The name of the entity.
  public static let entity = "source_config"
  /// The filter: enabled sources only.
  public static let filter = DocumentFilter.field("enabled", isOneOf: [.bool(true)])

  /// The field that the primary key is made of.
  public static let keyFields: Set<String>? = ["source_id"]

  /// Returns the fields that a source's key in a space is made of.
  ///
  /// - Parameter space: the number of the space.
  /// - Returns: the top-level fields; nil for an unknown space.
  public static func keyFields(ofSpace space: UInt8) -> Set<String>? {
    switch space {
    case Space.sourceID: keyFields
    case Space.container: ["ingestion"]
    case Space.aiAgentID: ["transformation"]
    default: nil
    }
  }

  /// The three key spaces, in the order of ``Space``.
  public static let keySpaces = [
    KeySpace(selector: "source_id"),
    KeySpace(selector: "container", composition: .members, makeIndex: { BlobIndex($0) }),
    KeySpace(selector: "ai_agent_id", composition: .members),
  ]

  /// The primary key: the `source_id`.
  public var key: LookupKey { LookupKey(sourceID, space: Space.sourceID) }

  /// The keys by landing container and by AI agent, where the source has them.
  public var aliases: [LookupKey] {
    var aliases: [LookupKey] = []
    if let container { aliases.append(LookupKey(container, space: Space.container)) }
    // A request cannot contain an empty key.
    if let agent = transformation.aiAgentID, !agent.isEmpty {
      aliases.append(LookupKey(agent, space: Space.aiAgentID))
    }
    return aliases
  }

  /// The list of all sources, and the list of the source's mode.
  public var listings: [String] { ["", ingestion.mode.rawValue] }

  /// The values that decide which source a blob belongs to.
  public var cachedValue: CachedValue {
    CachedValue(
      sourceID: sourceID, container: container ?? "", pattern: ingestion.pathPattern?.pattern,
      extractFields: ingestion.pathPattern?.extractFields ?? [],
      filePattern: ingestion.filePattern.flatMap { $0.isEmpty ? nil : Glob($0) })
  }

  /// The container by which the source can be looked up.
  private var container: String? {
    guard ingestion.mode == .blobTrigger, let container = ingestion.landingContainer, !container.isEmpty else {
      return nil
    }
    return container
  }
}
