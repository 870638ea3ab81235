internal import BSON

/// The three collections.
enum Collection: Int, CaseIterable {
  case agentConfigs, prompts, sourceConfigs

  /// The first part of its cache keys.
  var entity: String {
    switch self {
    case .agentConfigs: "agent_config"
    case .prompts: "prompt"
    case .sourceConfigs: "source_config"
    }
  }
}

/// A document as those know it who write it: which keys it answers is decided here, without the product's code.
struct SimulatedDocument {
  let collection: Collection
  let id: String
  /// `agent_id`, or `source_id`.
  var key: String
  /// `prompt_id`.
  var promptID = ""
  var major = 1
  /// `active`, `staged`, `draft`; for a source `enabled` and `disabled`.
  var status: String
  var marker: Int
  var isBad = false

  /// Whether a query with the collection's filter finds it.
  var isInFilter: Bool {
    switch collection {
    case .agentConfigs: status == "active"
    case .prompts: status == "active" || status == "staged"
    case .sourceConfigs: status == "enabled"
    }
  }

  /// The keys that it claims: the cache key, and for a prompt the other one by which it can be looked up.
  var keys: [String] {
    guard isInFilter else { return [] }
    let variant = status == "staged" ? ":staged" : ""
    let cacheKey = "\(collection.entity):\(key)\(variant)"
    return collection == .prompts ? [cacheKey, "prompt:by-id:\(promptID)\(variant)"] : [cacheKey]
  }

  /// Of several documents under a key the greatest answers; then the greater `_id`.
  var rank: [Int] { collection == .sourceConfigs ? [] : [major] }

  /// All that is in it, so that equal content has equal labels and no other.
  var label: String { "\(id)/\(key)/\(promptID)/\(major)/\(status)/\(marker)" }

  /// The top-level fields that an update from `old` to this touches.
  func fields(changedFrom old: SimulatedDocument) -> Set<String> {
    var fields: Set<String> = collection == .prompts ? ["content"] : ["description"]
    if key != old.key { fields.insert(collection == .sourceConfigs ? "source_id" : "agent_id") }
    if promptID != old.promptID { fields.insert("prompt_id") }
    if status != old.status { fields.insert(collection == .sourceConfigs ? "enabled" : "status") }
    if isBad != old.isBad { fields.insert(collection == .sourceConfigs ? "display_name" : "version") }
    if major != old.major { fields.insert("version") }
    if (key, promptID, major, isBad) != (old.key, old.promptID, old.major, old.isBad), collection != .sourceConfigs {
      fields.insert("id")
    }
    return fields
  }

  var bson: BSONDocument {
    guard let document = try? BSONDocument(json: json) else { preconditionFailure("the document is valid JSON") }
    return document
  }

  private var json: String {
    let version = isBad ? "bad" : "\(major).0.0"
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
        "ab_test": {}, \(metadata)}
        """
    case .sourceConfigs:
      return """
        {"_id": "\(id)", "source_id": "\(key)", "display_name": \(isBad ? "7" : #""n""#), "description": "\(label)",
        "enabled": \(status == "enabled"), "ingestion": {"mode": "blob_trigger"},
        "transformation": {"extract_fields": [], "link_field": "l"},
        "storage": {"raw_container": "rc", "index_collection": "ic"}}
        """
    }
  }
}
