// SPDX-License-Identifier: Apache-2.0
public import ChangeStreamCache

extension AgentConfigDocument: CachedModel {
  /// The key spaces of agent configs.
  public enum Space {
    /// The space of `agent_id`.
    public static let agentID: UInt8 = 0
  }

  /// An empty value, because the encoded bytes contain everything that lookups need.
  public struct CachedValue: Sendable, Equatable {}

  /// The name of the entity.
  public static let entity = "agent_config"
  /// The filter: active versions only.
  public static let filter = DocumentFilter.field("status", isOneOf: [.string("active")])

  /// The field that the key is made of.
  public static let keyFields: Set<String>? = ["agent_id"]

  /// The one key space.
  public static let keySpaces = [KeySpace(selector: "agent_id")]

  /// The key: the `agent_id`.
  public var key: LookupKey { LookupKey(agentID, space: Space.agentID) }

  /// The precedence among the versions of one agent: by semantic version, then by the date of the last update.
  public var precedence: Precedence { Precedence(version, updatedAt: metadata.updatedAt) }

  /// The list of all agent configs, and the list of the config's type.
  public var listings: [String] { ["", kind.type.rawValue] }

  /// An empty value.
  public var cachedValue: CachedValue { CachedValue() }
}
