// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// An agent config as JSON; `version` is `X.Y.Z`.
func agent(
  _ agentID: String, version: String = "1.0.0", type: String = "extractor", status: String = "active",
  description: String = "d", id: String? = nil
) -> String {
  let kind =
    type == "explorer"
    ? "\"rag\": {\"query_template\": \"q\"}" : "\"extraction_schema\": {\"f\": 1}"
  return """
    {"_id": \(quoted(id ?? "\(agentID):\(version)")), "id": \(quoted("\(agentID):\(version)")),
    "agent_id": \(quoted(agentID)), "version": "\(version)", "status": "\(status)", "type": "\(type)",
    "description": \(quoted(description)), "input": {"event": "in", "schema": {}},
    "output": {"event": "out", "schema": {}}, "llm": {"model": "m-\(type)"}, "error_handling": {}, \(kind),
    "metadata": {"author": "me", "created_at": "2026-01-09", "updated_at": "2026-01-10"}}
    """
}

/// A prompt as JSON; `test` is the object `ab_test`.
func prompt(
  _ promptID: String, agent agentID: String, version: String = "1.0.0", status: String = "active",
  template: String = "t", test: String = "{}", id: String? = nil
) -> String {
  """
  {"_id": \(quoted(id ?? "\(promptID):\(version)")), "id": \(quoted("\(promptID):\(version)")),
  "prompt_id": \(quoted(promptID)), "agent_id": \(quoted(agentID)), "version": "\(version)", "status": "\(status)",
  "content": {"system_prompt": "s", "template": \(quoted(template))}, "ab_test": \(test),
  "metadata": {"author": "me", "created_at": "2026-01-09", "updated_at": "2026-01-10"}}
  """
}

/// A source config as JSON, whose `_id` is its source_id unless another one is given.
func source(
  _ sourceID: String, id: String? = nil, container: String? = nil, mode: String = "blob_trigger", agent: String? = nil,
  pattern: String? = nil, fields: String = "[]", filePattern: String? = nil, enabled: Bool = true,
  description: String = "d"
) -> String {
  var ingestion = "\"mode\": \"\(mode)\""
  if let container { ingestion += ", \"landing_container\": \(quoted(container))" }
  if let filePattern { ingestion += ", \"file_pattern\": \(quoted(filePattern))" }
  if let pattern {
    ingestion += ", \"path_pattern\": {\"pattern\": \(quoted(pattern)), \"extract_fields\": \(fields)}"
  }
  let agentField = agent.map { "\"ai_agent_id\": \(quoted($0)), " } ?? ""
  return """
    {"_id": \(quoted(id ?? sourceID)), "source_id": \(quoted(sourceID)), "display_name": "n",
    "description": \(quoted(description)), "enabled": \(enabled), "ingestion": {\(ingestion)},
    "transformation": {\(agentField)"extract_fields": [], "link_field": "l"},
    "storage": {"raw_container": "rc", "index_collection": "ic"}}
    """
}
