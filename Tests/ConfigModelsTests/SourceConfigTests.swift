// SPDX-License-Identifier: Apache-2.0
import ChangeStreamCache
import ConfigLookupBSON
import ConfigModels
import Testing

@Suite struct SourceConfigTests {
  static let common: [Rule] = [
    Rule("source_id", nil, "source_id: is missing"), Rule("source_id", "\"\"", "source_id: is empty"),
    Rule("source_id", long, "source_id: is longer than 256 bytes"),
    Rule("source_id", "\"a\\u0000\"", "source_id: contains a NUL byte"),
    Rule("display_name", nil, "display_name: is missing"), Rule("description", nil, "description: is missing"),
    Rule("enabled", nil, nil), Rule("enabled", "1", "enabled: is an int32, not a bool"),
    Rule("enabled", "[true]", "enabled: is an array, not a bool"),
    Rule("validation", nil, nil), Rule("validation.schema_name", nil, "validation.schema_name: is missing"),
    Rule("validation.schema_version", nil, nil),
    Rule("validation.schema_version", "\"1\"", "validation.schema_version: is a string, not a number"),
    Rule("validation.schema_version", "3000000000", "validation.schema_version: 3000000000 is above 2147483647"),
    Rule("validation.strict", nil, nil), Rule("validation.strict", "0", "validation.strict: is an int32, not a bool"),
    Rule("transformation", nil, "transformation: is missing"), Rule("transformation.ai_agent_id", nil, nil),
    Rule("transformation.ai_agent_id", long, "transformation.ai_agent_id: is longer than 256 bytes"),
    Rule("transformation.agent", "1", "transformation.agent: is an int32, not a string"),
    Rule("transformation.extract_fields", nil, "transformation.extract_fields: is missing"),
    Rule("transformation.extract_fields.0", "1", "transformation.extract_fields.0: is an int32, not a string"),
    Rule("transformation.link_field", nil, "transformation.link_field: is missing"),
    Rule("transformation.field_mappings", nil, nil),
    Rule("transformation.field_mappings.x", "1", "transformation.field_mappings.x: is an int32, not a string"),
    Rule("storage", nil, "storage: is missing"),
    Rule("storage.raw_container", nil, "storage.raw_container: is missing"),
    Rule("storage.index_collection", nil, "storage.index_collection: is missing"),
    Rule("storage.file_container", nil, nil),
    Rule("storage.file_path_pattern", "1", "storage.file_path_pattern: is an int32, not a string"),
    Rule("storage.ttl_days", nil, nil), Rule("storage.ttl_days", "1.5", "storage.ttl_days: 1.5 is not a whole number"),
    Rule("events", nil, nil), Rule("events", "{}", nil), Rule("events.on_success", "null", nil),
    Rule("events.on_success.topic", nil, "events.on_success.topic: is missing"),
    Rule("events.on_failure.topic", "1", "events.on_failure.topic: is an int32, not a string"),
    Rule("events.on_failure.payload_fields", "[1]", "events.on_failure.payload_fields.0: is an int32, not a string"),
  ]

  static let ingestion: [Rule] = [
    Rule("", nil, nil), Rule(".mode", nil, ".mode: is missing"),
    Rule(".mode", "\"push\"", ".mode: must be one of blob_trigger, scheduled_pull"),
    Rule(".landing_container", nil, nil),
    Rule(".landing_container", long, ".landing_container: is longer than 256 bytes"),
    Rule(".landing_container", "\"\\u0000\"", ".landing_container: contains a NUL byte"),
    Rule(".file_pattern", "1", ".file_pattern: is an int32, not a string"), Rule(".file_format", nil, nil),
    Rule(".file_format", "\"csv\"", ".file_format: must be one of json, zip"),
    Rule(".trigger_mechanism", "\"poll\"", ".trigger_mechanism: must be one of event_grid"),
    Rule(".processor_type", "1", ".processor_type: is an int32, not a string"),
    Rule(".provider", "1", ".provider: is an int32, not a string"),
    Rule(".schedule", "1", ".schedule: is an int32, not a string"),
    Rule(".path_pattern", nil, nil), Rule(".path_pattern.pattern", nil, ".path_pattern.pattern: is missing"),
    Rule(".path_pattern.pattern", "\"{a}/{b}-{a}\"", ".path_pattern.pattern: uses a placeholder name twice"),
    Rule(".path_pattern.extract_fields", nil, ".path_pattern.extract_fields: is missing"),
    Rule(".processed_file_config", nil, nil),
    Rule(".processed_file_config.action", nil, ".processed_file_config.action: is missing"),
    Rule(
      ".processed_file_config.action", "\"burn\"", ".processed_file_config.action: must be one of archive, move, delete"
    ),
    Rule(
      ".processed_file_config.archive_ttl_days", "\"1\"",
      ".processed_file_config.archive_ttl_days: is a string, not a number"),
    Rule(".zip_config", nil, nil), Rule(".zip_config.manifest_file", nil, ".zip_config.manifest_file: is missing"),
    Rule(".zip_config.extract_images", "\"\"", ".zip_config.extract_images: is a string, not a bool"),
    Rule(".request", nil, nil), Rule(".request.base_url", nil, ".request.base_url: is missing"),
    Rule(".request.auth_type", nil, ".request.auth_type: is missing"),
    Rule(".request.auth_type", "\"basic\"", ".request.auth_type: must be one of none, api_key, oauth2"),
    Rule(".request.auth_secret_key", nil, nil), Rule(".request.parameters", nil, nil),
    Rule(".request.parameters.a", "1", ".request.parameters.a: is an int32, not a string"),
    Rule(".request.timeout_seconds", "1.5", ".request.timeout_seconds: 1.5 is not a whole number"),
    Rule(".iteration", nil, nil), Rule(".iteration.foreach", nil, ".iteration.foreach: is missing"),
    Rule(".iteration.source_mcp", nil, ".iteration.source_mcp: is missing"),
    Rule(".iteration.source_tool", nil, ".iteration.source_tool: is missing"),
    Rule(".iteration.tool_arguments", "[]", nil),
    Rule(".iteration.tool_arguments", "1", ".iteration.tool_arguments: is an int32, not an object or an array"),
    Rule(".iteration.result_path", "1", ".iteration.result_path: is an int32, not a string"),
    Rule(".iteration.inject_linkage", "\"x\"", ".iteration.inject_linkage: is a string, not an array"),
    Rule(".iteration.concurrency", "\"x\"", ".iteration.concurrency: is a string, not a number"),
    Rule(".retry", nil, nil), Rule(".retry.max_attempts", "null", nil),
    Rule(".retry.max_attempts", "[]", ".retry.max_attempts: is an array, not a number"),
    Rule(".retry.backoff", "\"random\"", ".retry.backoff: must be one of exponential, linear"),
  ]

  @Test(arguments: common)
  func `a rule`(_ rule: Rule) throws {
    let document = try Documents.changed(Documents.source, rule.path, to: rule.value)
    #expect(problem(document, as: SourceConfigDocument.self) == rule.problem)
  }

  @Test(arguments: ingestion)
  func `a rule of ingestion`(_ rule: Rule) throws {
    let expected = rule.path.isEmpty ? "ingestion: is missing" : rule.problem.map { "ingestion" + $0 }
    let document = try Documents.changed(Documents.source, "ingestion" + rule.path, to: rule.value)
    #expect(problem(document, as: SourceConfigDocument.self) == expected)
  }

  @Test func `the older name of the agent counts where the newer is absent`() throws {
    #expect(try read(Documents.source, as: SourceConfigDocument.self).transformation.aiAgentID == "a")
    let older = try Documents.changed(Documents.source, "transformation.ai_agent_id", to: "null")
    #expect(try read(older, as: SourceConfigDocument.self).transformation.aiAgentID == "older")
    #expect(try read(older, as: SourceConfigDocument.self).aliases.last == LookupKey("older", space: 2))
  }

  @Test func `keys and lists`() throws {
    let source = try read(Documents.source, as: SourceConfigDocument.self)
    #expect(source.key == LookupKey("s", space: 0))
    #expect(source.aliases == [LookupKey("c", space: 1), LookupKey("a", space: 2)])
    #expect(source.listings == ["", "blob_trigger"])
    #expect(source.precedence == Precedence())
    #expect(source.cachedValue.container == "c")

    let pulled = try read(
      Documents.changed(Documents.source, "ingestion.mode", to: "\"scheduled_pull\""), as: SourceConfigDocument.self)
    #expect(pulled.aliases == [LookupKey("a", space: 2)])
    #expect(pulled.listings == ["", "scheduled_pull"])
    #expect(pulled.cachedValue.container == "")

    let nowhere = try read(
      Documents.changed(Documents.source, "ingestion.landing_container", to: "\"\""), as: SourceConfigDocument.self)
    #expect(nowhere.aliases == [LookupKey("a", space: 2)])
    // A field that is not a key may be long.
    let long = try Documents.changed(
      Documents.source.replacing("blob_trigger", with: "scheduled_pull"), "ingestion.landing_container", to: long)
    #expect(problem(long, as: SourceConfigDocument.self) == nil)
  }

  @Test func `defaults`() throws {
    let bare = """
      {"source_id": "s", "display_name": "", "description": "", "transformation": {"extract_fields": [],
      "link_field": ""}, "storage": {"raw_container": "", "index_collection": ""}, "validation": {"schema_name": ""},
      "ingestion": {"mode": "scheduled_pull", "zip_config": {"manifest_file": ""}, "retry": {},
      "request": {"base_url": "", "auth_type": "none", "parameters": {}},
      "iteration": {"foreach": "", "source_mcp": "", "source_tool": ""}}, "events": {"on_success": {"topic": ""}}}
      """
    let source = try read(bare, as: SourceConfigDocument.self)
    #expect(source.enabled)
    #expect(source.validation?.strict == true)
    #expect(source.validation?.schemaVersion == nil)
    #expect(source.transformation.aiAgentID == nil)
    #expect(source.transformation.fieldMappings.isEmpty)
    #expect(source.ingestion.zipConfig?.extractImages == true)
    #expect(source.ingestion.request?.timeoutSeconds == 30)
    #expect(source.ingestion.iteration?.concurrency == 5)
    #expect(source.ingestion.iteration?.injectLinkage == [])
    #expect(source.ingestion.retry?.maxAttempts == 3)
    #expect(source.ingestion.retry?.backoff == .exponential)
    #expect(source.events?.onSuccess?.payloadFields == [])
    #expect(source.aliases.isEmpty)
  }

  @Test func `the filter is MongoDB's`() throws {
    func matches(_ json: String) throws -> Bool {
      try BSONDocument(json: json).withObject { SourceConfigDocument.filter.matches($0) }
    }
    #expect(try matches("{\"enabled\": true}"))
    #expect(try matches("{\"enabled\": [false, true]}"))
    #expect(try !matches("{}"))
    #expect(try !matches("{\"enabled\": null}"))
    #expect(try !matches("{\"enabled\": false}"))
    #expect(try !matches("{\"enabled\": 1}"))
    #expect(try !matches("{\"enabled\": \"true\"}"))
    #expect(try !matches("{\"enabled\": []}"))
  }

  @Test func `a blob is matched by pattern and file pattern`() throws {
    func cachedValue(_ pattern: String?, _ file: String?) throws -> SourceConfigDocument.CachedValue {
      let document = try Documents.changed(
        Documents.source, "ingestion.path_pattern",
        to: pattern.map { "{\"pattern\": \"\($0)\", \"extract_fields\": [\"x\", \"absent\"]}" })
      let json = try #require(document.json)
      return try read(
        Documents.changed(json, "ingestion.file_pattern", to: file.map { "\"\($0)\"" }), as: SourceConfigDocument.self
      ).cachedValue
    }
    func matches(_ cachedValue: SourceConfigDocument.CachedValue, _ path: String) -> Bool {
      Array(path.utf8).withUnsafeBytes { cachedValue.matches(path: $0) }
    }
    let both = try cachedValue("r/{x}/{y}", "*.json")
    #expect(matches(both, "r/1/2.json"))
    #expect(!matches(both, "r/1/2.csv"))
    #expect(!matches(both, "q/1/2.json"))
    #expect(Array("r/1/2.json".utf8).withUnsafeBytes { both.fields(of: $0) } == [StringPair(key: "x", value: "1")])
    #expect(Array("q/1/2.json".utf8).withUnsafeBytes { both.fields(of: $0) } == [])
    let neither = try cachedValue(nil, nil)
    #expect(matches(neither, "anything/at/all"))
    #expect(neither.literalCount == 0)
    #expect(Array("r/1/2.json".utf8).withUnsafeBytes { neither.fields(of: $0) } == [])
    #expect(try matches(cachedValue(nil, ""), "anything"))
  }
}
