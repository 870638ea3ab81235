public import ChangeStreamCache

extension SourceConfig: CachedModel {
  /// The spaces of keys.
  public enum Space {
    public static let sourceID: UInt8 = 0
    /// Of `blob_trigger` sources only.
    public static let container: UInt8 = 1
    public static let aiAgentID: UInt8 = 2
  }

  /// What settles which source a blob belongs to.
  public struct Kept: Sendable, Equatable {
    public let sourceID: String
    /// The landing container of a `blob_trigger` source; else empty.
    public let container: String
    public let pattern: PathPattern?
    public let extractFields: [String]
    public let filePattern: Glob?

    /// How many literal characters the pattern has; none without a pattern. Of several sources that match, the greater
    /// wins.
    public var literalCount: Int { pattern?.literalCount ?? 0 }

    /// Whether a blob at `path` in the container is of this source: the pattern and the file pattern match it, where
    /// they are given.
    public func matches(path: UnsafeRawBufferPointer) -> Bool {
      (filePattern?.matchesLastComponent(of: path) ?? true) && (pattern?.matches(path) ?? true)
    }

    /// What the pattern takes from the path, in order of name: nothing without a pattern or without a match.
    public func fields(of path: UnsafeRawBufferPointer) -> [StringPair] {
      pattern?.fields(of: path, extracting: extractFields) ?? []
    }
  }

  public static let entity = "source_config"
  public static let filter = DocumentFilter.field("enabled", isOneOf: [.bool(true)])

  public static let keyFields: Set<String>? = ["source_id"]

  public static func keyFields(ofSpace space: UInt8) -> Set<String>? {
    switch space {
    case Space.sourceID: keyFields
    case Space.container: ["ingestion"]
    case Space.aiAgentID: ["transformation"]
    default: nil
    }
  }

  public static let keySpaces = [
    KeySpace(selector: "source_id"),
    KeySpace(selector: "container", composition: .members, makeIndex: { BlobIndex($0) }),
    KeySpace(selector: "ai_agent_id", composition: .members),
  ]

  public var key: LookupKey { LookupKey(sourceID, space: Space.sourceID) }

  public var aliases: [LookupKey] {
    var aliases: [LookupKey] = []
    if let container { aliases.append(LookupKey(container, space: Space.container)) }
    // An empty key can be looked up by nobody.
    if let agent = transformation.aiAgentID, !agent.isEmpty {
      aliases.append(LookupKey(agent, space: Space.aiAgentID))
    }
    return aliases
  }

  /// The list of all, and that of its mode.
  public var listings: [String] { ["", ingestion.mode.rawValue] }

  public var kept: Kept {
    Kept(
      sourceID: sourceID, container: container ?? "", pattern: ingestion.pathPattern?.pattern,
      extractFields: ingestion.pathPattern?.extractFields ?? [],
      filePattern: ingestion.filePattern.flatMap { $0.isEmpty ? nil : Glob($0) })
  }

  /// The container by which this source is found.
  private var container: String? {
    guard ingestion.mode == .blobTrigger, let container = ingestion.landingContainer, !container.isEmpty else {
      return nil
    }
    return container
  }
}
