// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON
internal import ConfigLookupCore

/// Small valid documents as BSON. Parameters named `extra` are more JSON, with a leading comma.
public enum Documents {
  private static let metadata =
    #""metadata": {"author": "t", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"}"#

  /// Makes an agent config.
  ///
  /// - Parameters:
  ///   - agentID: the field `agent_id`.
  ///   - version: the field `version`.
  ///   - status: the field `status`.
  ///   - type: the field `type`.
  ///   - description: the field `description`.
  ///   - id: the `_id`; nil for `{agent_id}:{version}`.
  ///   - extra: more fields.
  /// - Returns: the document.
  /// - Throws: an error if the JSON is invalid.
  public static func agent(
    _ agentID: String, version: String = "1.0.0", status: String = "active", type: String = "explorer",
    description: String = "an agent", id: String? = nil, extra: String = ""
  ) throws -> BSONDocument {
    try BSONDocument(
      json: """
        {"_id": \(quoted(id ?? "\(agentID):\(version)")), "id": \(quoted("\(agentID):\(version)")),
         "agent_id": \(quoted(agentID)), "version": \(quoted(version)), "type": \(quoted(type)),
         "status": \(quoted(status)), "description": \(quoted(description)),
         "input": {"event": "in", "schema": {}}, "output": {"event": "out", "schema": {}},
         "llm": {"model": "m"}, "error_handling": {}, "rag": {}, "extraction_schema": {}, \(metadata)\(extra)}
        """)
  }

  /// Makes a prompt.
  ///
  /// - Parameters:
  ///   - agentID: the field `agent_id`.
  ///   - promptID: the field `prompt_id`; nil for `{agent_id}-prompt`.
  ///   - version: the field `version`.
  ///   - status: the field `status`.
  ///   - template: the field `content.template`.
  ///   - id: the `_id`; nil for `{prompt_id}:{version}`.
  ///   - extra: more fields.
  /// - Returns: the document.
  /// - Throws: an error if the JSON is invalid.
  public static func prompt(
    _ agentID: String, promptID: String? = nil, version: String = "1.0.0", status: String = "active",
    template: String = "t", id: String? = nil, extra: String = ""
  ) throws -> BSONDocument {
    let promptID = promptID ?? "\(agentID)-prompt"
    return try BSONDocument(
      json: """
        {"_id": \(quoted(id ?? "\(promptID):\(version)")), "id": \(quoted("\(promptID):\(version)")),
         "prompt_id": \(quoted(promptID)), "agent_id": \(quoted(agentID)), "version": \(quoted(version)),
         "status": \(quoted(status)), "content": {"system_prompt": "s", "template": \(quoted(template))},
         \(metadata)\(extra)}
        """)
  }

  /// Makes a source config.
  ///
  /// - Parameters:
  ///   - sourceID: the field `source_id`, and the `_id`.
  ///   - mode: the field `ingestion.mode`.
  ///   - container: the field `ingestion.landing_container`; nil for none.
  ///   - agent: the field `transformation.ai_agent_id`; nil for none.
  ///   - pattern: the field `ingestion.path_pattern.pattern`; nil for none.
  ///   - fields: the field `ingestion.path_pattern.extract_fields`.
  ///   - enabled: the field `enabled`.
  ///   - description: the field `description`.
  /// - Returns: the document.
  /// - Throws: an error if the JSON is invalid.
  public static func source(
    _ sourceID: String, mode: String = "blob_trigger", container: String? = nil, agent: String? = nil,
    pattern: String? = nil, fields: [String] = [], enabled: Bool = true, description: String = "a source"
  ) throws -> BSONDocument {
    var ingestion = "\"mode\": \(quoted(mode))"
    if let container { ingestion += ", \"landing_container\": \(quoted(container))" }
    if let pattern {
      let list = fields.map(quoted).joined(separator: ", ")
      ingestion += ", \"path_pattern\": {\"pattern\": \(quoted(pattern)), \"extract_fields\": [\(list)]}"
    }
    let agentField = agent.map { "\"ai_agent_id\": \(quoted($0)), " } ?? ""
    return try BSONDocument(
      json: """
        {"_id": \(quoted(sourceID)), "source_id": \(quoted(sourceID)), "display_name": "n",
         "description": \(quoted(description)), "enabled": \(enabled), "ingestion": {\(ingestion)},
         "transformation": {\(agentField)"extract_fields": [], "link_field": "l"},
         "storage": {"raw_container": "r", "index_collection": "i"}}
        """)
  }

  /// Makes the filter `{"_id": id}`.
  ///
  /// - Parameter id: the `_id` of a document.
  /// - Returns: the filter.
  /// - Throws: an error if the JSON is invalid.
  public static func selector(_ id: String) throws -> BSONDocument {
    try BSONDocument(json: "{\"_id\": \(quoted(id))}")
  }

  /// Makes the update `{"$set": {field: value}}`.
  ///
  /// - Parameters:
  ///   - field: the path of the field.
  ///   - value: the new value.
  /// - Returns: the update.
  /// - Throws: an error if the JSON is invalid.
  public static func set(_ field: String, _ value: String) throws -> BSONDocument {
    try BSONDocument(json: "{\"$set\": {\(quoted(field)): \(quoted(value))}}")
  }
}
