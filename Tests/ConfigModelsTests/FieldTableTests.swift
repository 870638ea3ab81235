// SPDX-License-Identifier: Apache-2.0
import ChangeStreamCache
import ConfigLookupBSON
import ConfigModels
import Testing

/// Tests of every field of the three kinds of documents: absent, null, its default, and a value of each BSON type.
@Suite struct FieldTableTests {
  private static let anyInt32 = Int64(Int32.min)...Int64(Int32.max)
  private static let statuses = ["draft", "staged", "active", "archived"]
  private static let rag =
    #"{"enabled": true, "knowledge_domains": [], "top_k": 5, "min_similarity": 0.7}"#

  // MARK: Agent configs

  private static func common(_ base: String, llm: FieldRule.Absence) -> [FieldRule] {
    [
      FieldRule(base, "status", .choice(statuses), .means(#""draft""#)), FieldRule(base, "description", .string),
      FieldRule(base, "input", .object), FieldRule(base, "input.event", .string),
      FieldRule(base, "input.schema", .freeForm), FieldRule(base, "output", .object),
      FieldRule(base, "output.event", .string), FieldRule(base, "output.schema", .freeForm),
      FieldRule(base, "llm", .object, llm),
      FieldRule(base, "mcp_sources", .objects, .means("[]")), FieldRule(base, "mcp_sources.0.server", .string),
      FieldRule(base, "mcp_sources.0.tools", .strings),
      FieldRule(
        base, "error_handling", .object,
        .means(
          #"{"max_attempts": 3, "backoff_ms": [100, 500, 2000], "on_failure": "publish_error_event"}"#)),
      FieldRule(base, "error_handling.max_attempts", .integer(1...10), .means("3")),
      FieldRule(base, "error_handling.backoff_ms", .integers, .means("[100, 500, 2000]")),
      FieldRule(
        base, "error_handling.on_failure", .choice(["publish_error_event", "dead_letter", "graceful_fallback"]),
        .means(#""publish_error_event""#)),
      FieldRule(base, "error_handling.dead_letter_topic", .string, .isServed),
      FieldRule(base, "metadata", .object), FieldRule(base, "metadata.author", .string),
      FieldRule(base, "metadata.created_at", .date, .isServed),
      FieldRule(base, "metadata.updated_at", .date, .isServed),
      FieldRule(base, "metadata.git_commit", .string, .isServed),
    ] + languageModel(base, "llm")
  }

  private static func languageModel(_ base: String, _ path: String) -> [FieldRule] {
    [
      FieldRule(base, "\(path).model", .string), FieldRule(base, "\(path).temperature", .double(0...2), .means("0.3")),
      FieldRule(base, "\(path).max_tokens", .integer(1...100_000), .means("2000")),
    ]
  }

  private static func rag(_ base: String) -> [FieldRule] {
    [
      FieldRule(base, "rag", .object, .means(rag)), FieldRule(base, "rag.enabled", .bool, .means("true")),
      FieldRule(base, "rag.query_template", .string, .isServed),
      FieldRule(base, "rag.knowledge_domains", .strings, .means("[]")),
      FieldRule(base, "rag.top_k", .integer(1...100), .means("5")),
      FieldRule(base, "rag.min_similarity", .double(0...1), .means("0.7")),
    ]
  }

  static let extractor =
    common(Documents.extractor, llm: .isRefused) + [
      FieldRule(Documents.extractor, "extraction_schema", .freeForm),
      FieldRule(Documents.extractor, "normalization_rules", .freeFormArray, .isServed),
    ]
  static let explorer = common(Documents.explorer, llm: .isRefused) + rag(Documents.explorer)
  static let generator =
    common(Documents.generator, llm: .isRefused) + rag(Documents.generator) + [
      FieldRule(
        Documents.generator, "output_format", .choice(["json", "markdown", "text"]), .means(#""markdown""#))
    ]
  static let conversational =
    common(Documents.conversational, llm: .isRefused) + rag(Documents.conversational) + [
      FieldRule(Documents.conversational, "intent_model", .string, .means(#""anthropic/claude-3-haiku""#)),
      FieldRule(Documents.conversational, "response_model", .string, .means(#""anthropic/claude-3-5-sonnet""#)),
      FieldRule(
        Documents.conversational, "state", .object,
        .means(
          #"{"max_turns": 5, "session_ttl_minutes": 30, "checkpoint_backend": "mongodb", "context_window": 3}"#)),
      FieldRule(Documents.conversational, "state.max_turns", .integer(1...50), .means("5")),
      FieldRule(Documents.conversational, "state.session_ttl_minutes", .integer(1...1440), .means("30")),
      FieldRule(Documents.conversational, "state.checkpoint_backend", .choice(["mongodb"]), .means(#""mongodb""#)),
      FieldRule(Documents.conversational, "state.context_window", .integer(1...20), .means("3")),
    ]
  static let tieredVision =
    common(Documents.tieredVision, llm: .isServed) + rag(Documents.tieredVision)
    + languageModel(Documents.tieredVision, "tiered_llm.screen")
    + languageModel(Documents.tieredVision, "tiered_llm.diagnose") + [
      FieldRule(Documents.tieredVision, "tiered_llm", .object),
      FieldRule(Documents.tieredVision, "tiered_llm.screen", .object),
      FieldRule(Documents.tieredVision, "tiered_llm.diagnose", .object),
      FieldRule(
        Documents.tieredVision, "routing", .object,
        .means(
          #"{"screen_threshold": 0.7, "healthy_skip_threshold": 0.85, "obvious_skip_threshold": 0.75}"#)),
      FieldRule(Documents.tieredVision, "routing.screen_threshold", .double(0...1), .means("0.7")),
      FieldRule(Documents.tieredVision, "routing.healthy_skip_threshold", .double(0...1), .means("0.85")),
      FieldRule(Documents.tieredVision, "routing.obvious_skip_threshold", .double(0...1), .means("0.75")),
    ]

  @Test(arguments: extractor + explorer + generator + conversational + tieredVision)
  func `a field of agent configs`(_ rule: FieldRule) throws { try check(rule, AgentConfigDocument.self) }

  // MARK: Prompts

  static let prompt: [FieldRule] = [
    FieldRule(Documents.prompt, "status", .choice(statuses), .means(#""draft""#)),
    FieldRule(Documents.prompt, "content", .object), FieldRule(Documents.prompt, "content.system_prompt", .string),
    FieldRule(Documents.prompt, "content.template", .string),
    FieldRule(Documents.prompt, "content.output_schema", .freeFormObject, .isServed),
    FieldRule(Documents.prompt, "content.few_shot_examples", .freeFormArray, .isServed),
    FieldRule(Documents.prompt, "metadata", .object), FieldRule(Documents.prompt, "metadata.author", .string),
    FieldRule(Documents.prompt, "metadata.created_at", .date, .isServed),
    FieldRule(Documents.prompt, "metadata.updated_at", .date, .isServed),
    FieldRule(Documents.prompt, "metadata.changelog", .string, .isServed),
    FieldRule(Documents.prompt, "metadata.git_commit", .string, .isServed),
    FieldRule(Documents.prompt, "ab_test", .object, .means(#"{"enabled": false, "traffic_percentage": 0}"#)),
    FieldRule(Documents.prompt, "ab_test.enabled", .bool, .means("false")),
    FieldRule(Documents.prompt, "ab_test.traffic_percentage", .double(0...100), .means("0")),
    FieldRule(Documents.prompt, "ab_test.test_id", .string, .isServed),
  ]

  @Test(arguments: prompt)
  func `a field of prompts`(_ rule: FieldRule) throws { try check(rule, PromptDocument.self) }

  // MARK: Source configs

  private static func source(
    _ path: String, _ kind: FieldRule.Kind, _ absence: FieldRule.Absence = .isRefused
  ) -> FieldRule {
    FieldRule(Documents.source, path, kind, absence)
  }

  static let ingestion: [FieldRule] = [
    source("ingestion", .object), source("ingestion.mode", .choice(["blob_trigger", "scheduled_pull"])),
    source("ingestion.landing_container", .string, .isServed), source("ingestion.file_pattern", .string, .isServed),
    source("ingestion.file_format", .choice(["json", "zip"]), .isServed),
    source("ingestion.trigger_mechanism", .choice(["event_grid"]), .isServed),
    source("ingestion.processor_type", .string, .isServed), source("ingestion.provider", .string, .isServed),
    source("ingestion.schedule", .string, .isServed), source("ingestion.path_pattern", .object, .isServed),
    source("ingestion.path_pattern.pattern", .string), source("ingestion.path_pattern.extract_fields", .strings),
    source("ingestion.processed_file_config", .object, .isServed),
    source("ingestion.processed_file_config.action", .choice(["archive", "move", "delete"])),
    source("ingestion.processed_file_config.archive_container", .string, .isServed),
    source("ingestion.processed_file_config.archive_ttl_days", .integer(anyInt32), .isServed),
    source("ingestion.processed_file_config.processed_folder", .string, .isServed),
    source("ingestion.zip_config", .object, .isServed), source("ingestion.zip_config.manifest_file", .string),
    source("ingestion.zip_config.images_folder", .string, .isServed),
    source("ingestion.zip_config.extract_images", .bool, .means("true")),
    source("ingestion.zip_config.image_storage_container", .string, .isServed),
    source("ingestion.request", .object, .isServed), source("ingestion.request.base_url", .string),
    source("ingestion.request.auth_type", .choice(["none", "api_key", "oauth2"])),
    source("ingestion.request.auth_secret_key", .string, .isServed),
    source("ingestion.request.parameters", .stringMap, .means("{}")),
    source("ingestion.request.timeout_seconds", .integer(anyInt32), .means("30")),
    source("ingestion.iteration", .object, .isServed), source("ingestion.iteration.foreach", .string),
    source("ingestion.iteration.source_mcp", .string), source("ingestion.iteration.source_tool", .string),
    source("ingestion.iteration.tool_arguments", .freeForm, .isServed),
    source("ingestion.iteration.result_path", .string, .isServed),
    source("ingestion.iteration.inject_linkage", .strings, .isServed),
    source("ingestion.iteration.concurrency", .integer(anyInt32), .means("5")),
    source("ingestion.retry", .object, .isServed),
    source("ingestion.retry.max_attempts", .integer(anyInt32), .means("3")),
    source("ingestion.retry.backoff", .choice(["exponential", "linear"]), .means(#""exponential""#)),
  ]

  static let rest: [FieldRule] = [
    source("display_name", .string), source("description", .string), source("enabled", .bool, .means("true")),
    source("validation", .object, .isServed), source("validation.schema_name", .string),
    source("validation.schema_version", .integer(anyInt32), .isServed),
    source("validation.strict", .bool, .means("true")),
    source("transformation", .object), source("transformation.ai_agent_id", .string, .means(#""older""#)),
    source("transformation.extract_fields", .strings), source("transformation.link_field", .string),
    source("transformation.field_mappings", .stringMap, .means("{}")),
    source("storage", .object), source("storage.raw_container", .string),
    source("storage.index_collection", .string), source("storage.file_container", .string, .isServed),
    source("storage.file_path_pattern", .string, .isServed),
    source("storage.ttl_days", .integer(anyInt32), .isServed),
    source("events", .object, .isServed), source("events.on_success", .object, .isServed),
    source("events.on_success.topic", .string),
    source("events.on_success.payload_fields", .strings, .means("[]")),
    source("events.on_failure", .object, .isServed), source("events.on_failure.topic", .string),
  ]

  @Test(arguments: ingestion + rest)
  func `a field of source configs`(_ rule: FieldRule) throws { try check(rule, SourceConfigDocument.self) }

  // MARK: Private

  private func check<Model: CachedModel>(_ rule: FieldRule, _: Model.Type) throws {
    func document(_ value: String?) throws -> BSONDocument { try Documents.changed(rule.base, rule.path, to: value) }
    func encoded(_ value: String?) throws -> [UInt8]? { try read(document(value), as: Model.self).encoded() }

    for (type, json) in FieldRule.valueOfEachType {
      // The rules of the object's fields determine the problem of an empty object.
      if case .object = rule.kind, type == .object { continue }
      #expect(try problem(document(json), as: Model.self) == rule.problem(with: type), "\(type)")
    }
    for (json, expected) in rule.badValues {
      #expect(try problem(document(json), as: Model.self) == expected, "\(json)")
    }
    var seen: Set<[UInt8]> = []
    for values in rule.equalValues {
      let one = try #require(try encoded(values[0]), "\(values[0])")
      #expect(seen.insert(one).inserted, "\(values[0]) is served like another value")
      for value in values.dropFirst() { #expect(try encoded(value) == one, "\(value) and \(values[0])") }
    }

    switch rule.absence {
    case .isRefused: #expect(try problem(document(nil), as: Model.self) == "\(rule.path): is missing")
    case .isServed:
      let absent = try #require(try encoded(nil))
      #expect(try encoded("null") == absent)
      #expect(try absent != read(rule.base, as: Model.self).encoded())
    case .means(let value):
      let absent = try #require(try encoded(nil))
      #expect(try encoded("null") == absent)
      #expect(try encoded(value) == absent)
    }
  }
}
