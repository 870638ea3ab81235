// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// The three collections.
enum Collection: Int, CaseIterable {
  case agentConfigs, prompts, sourceConfigs

  /// The first part of the collection's cache keys.
  var entity: String {
    switch self {
    case .agentConfigs: "agent_config"
    case .prompts: "prompt"
    case .sourceConfigs: "source_config"
    }
  }

  /// The request fields by which the collection's answers are looked up.
  var selectors: [String] {
    switch self {
    case .agentConfigs: ["agent_id"]
    case .prompts: ["agent_id", "prompt_id"]
    case .sourceConfigs: ["source_id", "container", "ai_agent_id"]
    }
  }
}

/// A document from the point of view of its writers. Which keys it answers is decided here, without the product's code.
struct SimulatedDocument {
  let collection: Collection
  let id: String
  /// The `agent_id`, or the `source_id`.
  var key: String
  /// The `prompt_id`.
  var promptID = ""
  var major = 1
  /// The status: `active`, `staged` or `draft`; for a source `enabled` or `disabled`.
  var status: String
  var marker: Int
  var isBad = false
  /// The A/B test of a prompt.
  var test = Test.off
  /// The landing container of a source, without which the source is a `scheduled_pull`. The next property is its
  /// `ai_agent_id`.
  var container: String?
  var aiAgentID: String?
  /// Whether the paths of a source begin with `x/`.
  var hasPattern = false

  /// The A/B test of a staged prompt. It includes no subject or all subjects, so that no hash is needed to determine
  /// the variant.
  enum Test: Int, CaseIterable {
    case off, forNobody, forEverybody, unnamedForEverybody
  }

  /// Whether a query with the collection's filter finds the document.
  var isInFilter: Bool {
    switch collection {
    case .agentConfigs: status == "active"
    case .prompts: status == "active" || status == "staged"
    case .sourceConfigs: status == "enabled"
    }
  }

  var isStaged: Bool { status == "staged" }

  /// The keys that the document claims and that are answered by one document each. The last one of a prompt is not a
  /// cache key; it is the key of its list row.
  var keys: [String] {
    guard isInFilter else { return [] }
    let variant = isStaged ? ":staged" : ""
    let cacheKey = "\(collection.entity):\(key)\(variant)"
    guard collection == .prompts else { return [cacheKey] }
    return [cacheKey, "prompt.prompt_id:\(promptID)\(variant)", Self.rowKey(key, promptID) + variant]
  }

  /// The name in the true history of the prompt in a list row.
  static func rowKey(_ agentID: String, _ promptID: String) -> String { "prompt#row:\(agentID)/\(promptID)" }

  var version: String { isBad ? "bad" : "\(major).0.0" }

  /// The name of the A/B test.
  var testName: String? {
    switch test {
    case .off: nil
    case .forNobody, .forEverybody: "test-\(marker)"
    case .unnamedForEverybody: "\(promptID):\(version)"
    }
  }

  /// The rank among the documents with the same key. The greatest rank is served, then the greater `_id`.
  var rank: [Int] { collection == .sourceConfigs ? [] : [major] }

  /// A label of the whole content. Contents are equal exactly if their labels are.
  var label: String {
    let more =
      switch collection {
      case .agentConfigs: ""
      case .prompts: "/\(promptID)/\(test)"
      case .sourceConfigs: "/\(container ?? "-")/\(aiAgentID ?? "-")/\(hasPattern ? "x" : "-")"
      }
    return "\(id)/\(key)/\(major)/\(status)/\(marker)\(more)"
  }

  /// Returns the top-level fields that an update from `old` to this document touches.
  func fields(changedFrom old: SimulatedDocument) -> Set<String> {
    var fields: Set<String> = collection == .prompts ? ["content", "ab_test"] : ["description"]
    if key != old.key { fields.insert(collection == .sourceConfigs ? "source_id" : "agent_id") }
    if promptID != old.promptID { fields.insert("prompt_id") }
    if status != old.status { fields.insert(collection == .sourceConfigs ? "enabled" : "status") }
    if isBad != old.isBad { fields.insert(collection == .sourceConfigs ? "display_name" : "version") }
    if major != old.major { fields.insert("version") }
    if (key, promptID, major, isBad) != (old.key, old.promptID, old.major, old.isBad), collection != .sourceConfigs {
      fields.insert("id")
    }
    if (container, hasPattern) != (old.container, old.hasPattern) { fields.insert("ingestion") }
    if aiAgentID != old.aiAgentID { fields.insert("transformation") }
    return fields
  }

  var bson: BSONDocument {
    guard let document = try? BSONDocument(json: json) else { preconditionFailure("the document is valid JSON") }
    return document
  }

  private var json: String {
    let metadata = #""metadata": {"author": "me", "created_at": "2026-01-09", "updated_at": "2026-01-10"}"#
    switch collection {
    case .agentConfigs:
      return """
        {"_id": "\(id)", "id": "\(key):\(version)", "agent_id": "\(key)", "version": "\(version)",
        "status": "\(status)", "type": "extractor", "description": "\(label)", "input": {"event": "in", "schema": {}},
        "output": {"event": "out", "schema": {}}, "llm": {"model": "m"}, "error_handling": {},
        "extraction_schema": {"f": 1}, \(metadata)}
        """
    case .prompts:
      return """
        {"_id": "\(id)", "id": "\(promptID):\(version)", "prompt_id": "\(promptID)", "agent_id": "\(key)",
        "version": "\(version)", "status": "\(status)", "content": {"system_prompt": "s", "template": "\(label)"},
        "ab_test": \(testJSON), \(metadata)}
        """
    case .sourceConfigs:
      let agent = aiAgentID.map { "\"ai_agent_id\": \"\($0)\", " } ?? ""
      return """
        {"_id": "\(id)", "source_id": "\(key)", "display_name": \(isBad ? "7" : #""n""#), "description": "\(label)",
        "enabled": \(status == "enabled"), "ingestion": \(ingestionJSON),
        "transformation": {\(agent)"extract_fields": [], "link_field": "l"},
        "storage": {"raw_container": "rc", "index_collection": "ic"}}
        """
    }
  }

  private var testJSON: String {
    switch test {
    case .off: "{}"
    case .forNobody: #"{"enabled": true, "traffic_percentage": 0, "test_id": "\#(testName ?? "")"}"#
    case .forEverybody: #"{"enabled": true, "traffic_percentage": 100, "test_id": "\#(testName ?? "")"}"#
    case .unnamedForEverybody: #"{"enabled": true, "traffic_percentage": 100}"#
    }
  }

  private var ingestionJSON: String {
    guard let container else { return #"{"mode": "scheduled_pull"}"# }
    let pattern = hasPattern ? #", "path_pattern": {"pattern": "x/{f}", "extract_fields": ["f"]}"# : ""
    return #"{"mode": "blob_trigger", "landing_container": "\#(container)"\#(pattern)}"#
  }
}
