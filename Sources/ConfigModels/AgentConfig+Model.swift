public import ChangeStreamCache

extension AgentConfig: CachedModel {
  /// The spaces of keys.
  public enum Space {
    public static let agentID: UInt8 = 0
  }

  /// Nothing: the encoded bytes say all.
  public struct Kept: Sendable, Equatable {}

  public static let entity = "agent_config"
  public static let filter = DocumentFilter.field("status", isOneOf: [.string("active")])

  public static let keyFields: Set<String>? = ["agent_id"]

  public static let keySpaces = [KeySpace(selector: "agent_id")]

  public var key: LookupKey { LookupKey(agentID, space: Space.agentID) }

  public var precedence: Precedence { Precedence(version, updatedAt: metadata.updatedAt) }

  /// The list of all, and that of its type.
  public var listings: [String] { ["", kind.type.rawValue] }

  public var kept: Kept { Kept() }
}
