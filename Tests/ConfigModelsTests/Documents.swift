// SPDX-License-Identifier: Apache-2.0
import ChangeStreamCache
import ConfigLookupBSON
import Foundation
import Testing

/// Valid documents of every kind, and functions that change them.
enum Documents {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  private static let agentStart = """
    {"_id": "a:1.2.3", "id": "a:1.2.3", "agent_id": "a", "version": "1.2.3", "status": "active", "description": "d",
    "input": {"event": "in", "schema": {"type": "object"}}, "output": {"event": "out", "schema": ["x"]},
    "llm": {"model": "m", "temperature": 0.5, "max_tokens": 100},
    "mcp_sources": [{"server": "s", "tools": ["t", "u"]}],
    "error_handling": {"max_attempts": 4, "backoff_ms": [1, 2], "on_failure": "dead_letter",
      "dead_letter_topic": "dead"},
    "metadata": {"author": "me", "created_at": "2026-01-09T00:00:00.250Z",
      "updated_at": {"$date": "2026-01-10T00:00:00Z"}, "git_commit": "abc"}
    """
  private static let rag = """
    "rag": {"enabled": false, "query_template": "q", "knowledge_domains": ["k"], "top_k": 7, "min_similarity": 0.25}
    """

  static let extractor =
    agentStart + """
      , "type": "extractor", "extraction_schema": {"f": 1}, "normalization_rules": [{"r": 1}]}
      """
  static let explorer = agentStart + ", \"type\": \"explorer\", \(rag)}"
  static let generator = agentStart + ", \"type\": \"generator\", \(rag), \"output_format\": \"json\"}"
  static let conversational =
    agentStart + """
      , "type": "conversational", \(rag), "intent_model": "i", "response_model": "r",
      "state": {"max_turns": 6, "session_ttl_minutes": 31, "checkpoint_backend": "mongodb", "context_window": 4}}
      """
  static let tieredVision =
    agentStart + """
      , "type": "tiered-vision", \(rag),
      "tiered_llm": {"screen": {"model": "s"}, "diagnose": {"model": "d", "temperature": 2, "max_tokens": 1}},
      "routing": {"screen_threshold": 0.1, "healthy_skip_threshold": 0.2, "obvious_skip_threshold": 0.3}}
      """
  static let agents = [extractor, explorer, generator, conversational, tieredVision]

  static let prompt = """
    {"_id": {"$oid": "65a1b2c3d4e5f60718293a0f"}, "id": "p:1.2.3", "prompt_id": "p", "agent_id": "a",
    "version": "1.2.3", "status": "active",
    "content": {"system_prompt": "s", "template": "{{t}}", "output_schema": {"o": 1}, "few_shot_examples": [1]},
    "metadata": {"author": "me", "created_at": "2026-01-09", "updated_at": "2026-01-10", "changelog": "c",
      "git_commit": "abc"},
    "ab_test": {"enabled": true, "traffic_percentage": 30, "test_id": "t"}}
    """

  static let source = """
    {"source_id": "s", "display_name": "n", "description": "d", "enabled": true,
    "ingestion": {"mode": "blob_trigger", "landing_container": "c", "file_pattern": "*.json", "file_format": "json",
      "trigger_mechanism": "event_grid", "processor_type": "p", "provider": "v", "schedule": "* * * * *",
      "path_pattern": {"pattern": "r/{x}.json", "extract_fields": ["x"]},
      "processed_file_config": {"action": "archive", "archive_container": "ac", "archive_ttl_days": 0,
        "processed_folder": "pf"},
      "zip_config": {"manifest_file": "m", "images_folder": "i", "extract_images": false,
        "image_storage_container": "isc"},
      "request": {"base_url": "u", "auth_type": "oauth2", "auth_secret_key": "k",
        "parameters": {"b": "2", "a": "1", "c": "3"}, "timeout_seconds": 31},
      "iteration": {"foreach": "f", "source_mcp": "m", "source_tool": "t", "tool_arguments": {"x": 1},
        "result_path": "rp", "inject_linkage": ["l"], "concurrency": 6},
      "retry": {"max_attempts": 4, "backoff": "linear"}},
    "validation": {"schema_name": "sn", "schema_version": 0, "strict": false},
    "transformation": {"ai_agent_id": "a", "agent": "older", "extract_fields": ["e"], "link_field": "l",
      "field_mappings": {"y": "2", "x": "1"}},
    "storage": {"raw_container": "rc", "index_collection": "ic", "file_container": "fc", "file_path_pattern": "fpp",
      "ttl_days": 5},
    "events": {"on_success": {"topic": "ok", "payload_fields": ["p"]}, "on_failure": {"topic": "no"}}}
    """

  struct BadPath: Error {}

  /// Returns the document of `json` in which the value at `path` is replaced by `value` (JSON), or removed if `value`
  /// is nil.
  static func changed(_ json: String, _ path: String, to value: String?) throws -> BSONDocument {
    let steps = path.split(separator: ".").map(String.init)
    let tree = try JSONSerialization.jsonObject(with: Data(json.utf8))
    let new = try value.map { try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed) }
    let result = try replaced(in: tree, steps[...], by: new)
    let data = try JSONSerialization.data(withJSONObject: result)
    return try BSONDocument(json: String(decoding: data, as: UTF8.self))
  }

  private static func replaced(in tree: Any, _ path: ArraySlice<String>, by value: Any?) throws -> Any {
    guard let first = path.first else { return value ?? NSNull() }
    let rest = path.dropFirst()
    if var object = tree as? [String: Any] {
      object[first] = rest.isEmpty ? value : try replaced(in: object[first] ?? [:], rest, by: value)
      return object
    }
    guard var array = tree as? [Any], let index = Int(first), array.indices.contains(index) else { throw BadPath() }
    array[index] = try replaced(in: array[index], rest, by: value)
    return array
  }

  /// Returns the documents of a file that contains one array.
  static func array(at url: URL) throws -> [BSONDocument] {
    let tree = try JSONSerialization.jsonObject(with: Data(contentsOf: url))
    guard let array = tree as? [Any] else { throw BadPath() }
    return try array.map { element in
      try BSONDocument(json: String(decoding: JSONSerialization.data(withJSONObject: element), as: UTF8.self))
    }
  }
}

/// The problem of a document as a model; nil if it is valid.
func problem<Model: CachedModel>(_ document: BSONDocument, as _: Model.Type) -> String? {
  document.withObject { object in
    do throws(DocumentProblem) {
      _ = try Model(reading: object)
      return nil
    } catch {
      return error.description
    }
  }
}

func read<Model: CachedModel>(_ document: BSONDocument, as _: Model.Type) throws -> Model {
  try document.withObject { object throws(DocumentProblem) in try Model(reading: object) }
}

func read<Model: CachedModel>(_ json: String, as type: Model.Type) throws -> Model {
  try read(BSONDocument(json: json), as: type)
}

/// A change of a document and the resulting problem; nil if the document remains valid.
struct Rule: Sendable, CustomTestStringConvertible {
  let path: String
  let value: String?
  let problem: String?

  init(_ path: String, _ value: String?, _ problem: String?) {
    self.path = path
    self.value = value
    self.problem = problem
  }

  var testDescription: String { "\(path) = \(value ?? "nothing")" }
}

let long = "\"" + String(repeating: "k", count: 257) + "\""

/// The problem of a version that violates the rules.
let notAVersion = "version: is not a semantic version (X.Y.Z[-PRERELEASE][+BUILD])"
