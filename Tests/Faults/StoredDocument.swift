internal import Core

/// The collections that writers write to.
enum Collection: Int, Sendable, CaseIterable {
  case agents, prompts, sources

  /// Its entity, as the first part of a cache key.
  var entity: String {
    switch self {
    case .agents: "agent_config"
    case .prompts: "prompt"
    case .sources: "source_config"
    }
  }

  var name: String { "\(self)" }
}

/// A cache key: `{entity}:{identifier}[:staged]`.
struct CacheKey: Sendable, Hashable, CustomStringConvertible {
  let collection: Collection
  let identifier: String
  let isStaged: Bool

  init(_ collection: Collection, _ identifier: String, isStaged: Bool = false) {
    self.collection = collection
    self.identifier = identifier
    self.isStaged = isStaged
  }

  init?(_ text: String) {
    let parts = text.split(separator: ":")
    guard parts.count > 1, let collection = Collection.allCases.first(where: { $0.entity == parts[0] }) else {
      return nil
    }
    self.init(collection, String(parts[1]), isStaged: parts.count > 2)
  }

  var description: String { "\(collection.entity):\(identifier)\(isStaged ? ":staged" : "")" }
}

/// A document by its collection and its `_id`.
struct DocumentName: Sendable, Hashable {
  let collection: Collection
  let id: String
}

/// What is in a document. The label is another one after each write, and comes back as the first word of the content.
struct StoredDocument: Sendable {
  enum Standing: Sendable {
    /// Outside of every filter.
    case hidden
    case active
    /// Of prompts only.
    case staged
  }

  var key: String
  var standing: Standing
  var label: String
  /// Bytes of content beside the label.
  var padding: Int

  /// The cache key that the document claims.
  func claim(in collection: Collection) -> CacheKey? {
    standing == .hidden ? nil : CacheKey(collection, key, isStaged: standing == .staged)
  }

  /// What was put into a document's content.
  static func label(of content: String) -> String { String(content.prefix { $0 != " " }) }

  /// The whole document.
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
        "\"version\": \"1.0.0\", \"prompt_id\": \"p\(name.id)\", "
          + "\"content\": {\"system_prompt\": \"s\", \"template\": \(quoted(content))}, \(metadata)"
      case .sources:
        #""display_name": "n", "ingestion": {"mode": "blob_trigger"}, "transformation": {"extract_fields": [], "#
          + #""link_field": "l"}, "storage": {"raw_container": "r", "index_collection": "i"}"#
      }
    let own = fields(name).filter { !$0.name.contains(".") }.map { "\"\($0.name)\": \($0.value)" }
    return "{\"_id\": \"\(name.id)\", \(own.joined(separator: ", ")), \(rest)}"
  }

  /// The operators of an update that makes the document so.
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
        ("agent_id", quoted(key)), ("id", quoted("p\(name.id):1.0.0")), ("status", status),
        ("content.template", quoted(content)),
      ]
    case .sources:
      [
        ("source_id", quoted(key)), ("enabled", standing == .active ? "true" : "false"),
        ("description", quoted(content)),
      ]
    }
  }
}
