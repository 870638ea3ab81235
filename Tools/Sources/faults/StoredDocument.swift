// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees

/// The collections to which writers write.
enum Collection: Int, Sendable, CaseIterable {
  case agents, prompts, sources

  /// The name of its entity, which is the first part of a cache key.
  var entity: String {
    switch self {
    case .agents: "agent_config"
    case .prompts: "prompt"
    case .sources: "source_config"
    }
  }

  var name: String { "\(self)" }
}

/// The key of a lookup: a key by one of the selectors of an entity.
struct CacheKey: Sendable, Hashable, CustomStringConvertible {
  enum Selector: String, Sendable, CaseIterable {
    case agentID = "agent_id"
    case promptID = "prompt_id"
    case sourceID = "source_id"
    case container
    case aiAgentID = "ai_agent_id"
  }

  let collection: Collection
  let selector: Selector
  let identifier: String
  let isStaged: Bool

  init(_ collection: Collection, _ selector: Selector, _ identifier: String, isStaged: Bool = false) {
    self.collection = collection
    self.selector = selector
    self.identifier = identifier
    self.isStaged = isStaged
  }

  init?(_ text: String) {
    guard let name = CacheName(text), let selector = Selector(rawValue: name.selector),
      let collection = Collection.allCases.first(where: { $0.entity == name.entity })
    else { return nil }
    self.init(collection, selector, name.key, isStaged: name.variant != nil)
  }

  /// The cache key, as in notices.
  var description: String {
    let isPrimary = CacheName.primarySelectors[collection.entity] == selector.rawValue
    let space = isPrimary ? collection.entity : "\(collection.entity).\(selector.rawValue)"
    return "\(space):\(identifier)\(isStaged ? ":staged" : "")"
  }
}

/// A document's collection and `_id`.
struct DocumentName: Sendable, Hashable {
  let collection: Collection
  let id: String
}

/// The content of a document. Its label is different after each write, and is returned as the first word of the
/// content.
struct StoredDocument: Sendable {
  enum Standing: Sendable {
    /// Outside of every filter.
    case hidden
    case active
    /// For prompts only.
    case staged
  }

  /// The key by the primary selector of its collection.
  var key: String
  /// The `prompt_id` of a prompt.
  var promptID = ""
  /// The container of a source.
  var container = ""
  var aiAgentID = ""
  var standing: Standing
  var label: String
  /// The number of bytes of content in addition to the label.
  var padding: Int

  /// The keys whose only answer the document can be.
  func claims(in collection: Collection) -> [CacheKey] {
    guard standing != .hidden else { return [] }
    return switch collection {
    case .agents: [CacheKey(.agents, .agentID, key)]
    case .prompts:
      [
        CacheKey(.prompts, .agentID, key, isStaged: standing == .staged),
        CacheKey(.prompts, .promptID, promptID, isStaged: standing == .staged),
      ]
    case .sources: [CacheKey(.sources, .sourceID, key)]
    }
  }

  /// The keys whose answers the document shares with others.
  func groups(in collection: Collection) -> [CacheKey] {
    guard standing != .hidden, collection == .sources else { return [] }
    return [CacheKey(.sources, .container, container), CacheKey(.sources, .aiAgentID, aiAgentID)]
  }

  /// The label in a document's content.
  static func label(of content: String) -> String { String(content.prefix { $0 != " " }) }

  /// The whole document as JSON.
  func json(_ name: DocumentName) -> String {
    let metadata =
      #""metadata": {"author": "t", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"}"#
    let rest =
      switch name.collection {
      case .agents:
        #""version": "1.0.0", "type": "explorer", "input": {"event": "in", "schema": {}}, "#
          + #""output": {"event": "out", "schema": {}}, "llm": {"model": "m"}, "error_handling": {}, "rag": {}, "#
          + metadata
      case .prompts:
        "\"version\": \"1.0.0\", "
          + "\"content\": {\"system_prompt\": \"s\", \"template\": \(quoted(content))}, \(metadata)"
      case .sources:
        #""display_name": "n", "storage": {"raw_container": "r", "index_collection": "i"}"#
      }
    let own = fields(name).filter { !$0.name.contains(".") }.map { "\"\($0.name)\": \($0.value)" }
    return "{\"_id\": \"\(name.id)\", \(own.joined(separator: ", ")), \(rest)}"
  }

  /// The operators of an update that changes the document to this content.
  func update(_ name: DocumentName) -> String {
    "{\"$set\": {\(fields(name).map { "\"\($0.name)\": \($0.value)" }.joined(separator: ", "))}}"
  }

  private var content: String { padding == 0 ? label : label + " " + String(repeating: "x", count: padding) }

  /// The fields that change, as JSON.
  private func fields(_ name: DocumentName) -> [(name: String, value: String)] {
    let status =
      switch standing {
      case .hidden: "\"archived\""
      case .active: "\"active\""
      case .staged: "\"staged\""
      }
    return switch name.collection {
    case .agents:
      [
        ("agent_id", quoted(key)), ("id", quoted("\(key):1.0.0")), ("status", status),
        ("description", quoted(content)),
      ]
    case .prompts:
      [
        ("agent_id", quoted(key)), ("prompt_id", quoted(promptID)), ("id", quoted("\(promptID):1.0.0")),
        ("status", status), ("content.template", quoted(content)),
      ]
    case .sources:
      [
        ("source_id", quoted(key)), ("enabled", standing == .active ? "true" : "false"),
        ("description", quoted(content)),
        ("ingestion", "{\"mode\": \"blob_trigger\", \"landing_container\": \(quoted(container))}"),
        (
          "transformation",
          "{\"extract_fields\": [], \"link_field\": \"l\", \"ai_agent_id\": \(quoted(aiAgentID))}"
        ),
      ]
    }
  }
}
