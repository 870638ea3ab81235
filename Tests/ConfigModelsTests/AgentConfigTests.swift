// SPDX-License-Identifier: Apache-2.0
import ChangeStreamCache
import ConfigLookupBSON
import ConfigModels
import Testing

@Suite struct AgentConfigTests {
  static let common: [Rule] = [
    Rule("id", nil, "id: is missing"), Rule("id", "\"a:1.2.4\"", "id: does not have the form {agent_id}:{version}"),
    Rule("agent_id", nil, "agent_id: is missing"), Rule("agent_id", "\"\"", "agent_id: is empty"),
    Rule("agent_id", "1", "agent_id: is an int32, not a string"),
    Rule("agent_id", long, "agent_id: is longer than 256 bytes"),
    Rule("agent_id", "\"a\\u0000b\"", "agent_id: contains a NUL byte"),
    Rule("version", nil, "version: is missing"), Rule("version", "\"1.2\"", notAVersion),
    Rule("type", nil, "type: is missing"),
    Rule("type", "\"oracle\"", "type: must be one of extractor, explorer, generator, conversational, tiered-vision"),
    Rule("status", nil, nil), Rule("status", "\"archived\"", nil),
    Rule("status", "\"live\"", "status: must be one of draft, staged, active, archived"),
    Rule("description", nil, "description: is missing"), Rule("description", "\"\"", nil),
    Rule("input", nil, "input: is missing"), Rule("input", "\"x\"", "input: is a string, not an object"),
    Rule("input.event", nil, "input.event: is missing"), Rule("input.schema", nil, "input.schema: is missing"),
    Rule("input.schema", "[]", nil),
    Rule("input.schema", "\"x\"", "input.schema: is a string, not an object or an array"),
    Rule("output", nil, "output: is missing"), Rule("output.event", "null", "output.event: is missing"),
    Rule("output.schema", "7", "output.schema: is an int32, not an object or an array"),
    Rule("llm.model", nil, "llm.model: is missing"), Rule("llm.temperature", nil, nil),
    Rule("llm.temperature", "0", nil), Rule("llm.temperature", "2", nil),
    Rule("llm.temperature", "3.5", "llm.temperature: 3.5 is above 2.0"),
    Rule("llm.temperature", "-0.5", "llm.temperature: -0.5 is below 0.0"),
    Rule("llm.temperature", "\"hot\"", "llm.temperature: is a string, not a number"),
    Rule("llm.max_tokens", nil, nil), Rule("llm.max_tokens", "1", nil), Rule("llm.max_tokens", "100000", nil),
    Rule("llm.max_tokens", "0", "llm.max_tokens: 0 is below 1"),
    Rule("llm.max_tokens", "100001", "llm.max_tokens: 100001 is above 100000"),
    Rule("llm.max_tokens", "1.5", "llm.max_tokens: 1.5 is not a whole number"),
    Rule("llm.max_tokens", "{\"$numberDouble\": \"500.0\"}", nil),
    Rule("llm.max_tokens", "{\"$numberLong\": \"500\"}", nil),
    Rule("mcp_sources", nil, nil), Rule("mcp_sources", "{}", "mcp_sources: is an object, not an array"),
    Rule("mcp_sources.0", "\"x\"", "mcp_sources.0: is a string, not an object"),
    Rule("mcp_sources.0.server", nil, "mcp_sources.0.server: is missing"),
    Rule("mcp_sources.0.tools", nil, "mcp_sources.0.tools: is missing"),
    Rule("mcp_sources.0.tools.1", "5", "mcp_sources.0.tools.1: is an int32, not a string"),
    Rule("error_handling", nil, nil), Rule("error_handling", "{}", nil),
    Rule("error_handling.max_attempts", "0", "error_handling.max_attempts: 0 is below 1"),
    Rule("error_handling.max_attempts", "11", "error_handling.max_attempts: 11 is above 10"),
    Rule("error_handling.max_attempts", "10", nil), Rule("error_handling.backoff_ms", "[]", nil),
    Rule("error_handling.backoff_ms", "[1, \"2\"]", "error_handling.backoff_ms.1: is a string, not a number"),
    Rule(
      "error_handling.on_failure", "\"panic\"",
      "error_handling.on_failure: must be one of publish_error_event, dead_letter, graceful_fallback"),
    Rule("error_handling.dead_letter_topic", "null", nil),
    Rule("error_handling.dead_letter_topic", "1", "error_handling.dead_letter_topic: is an int32, not a string"),
    Rule("metadata", nil, "metadata: is missing"), Rule("metadata.author", nil, "metadata.author: is missing"),
    Rule("metadata.created_at", nil, nil),
    Rule("metadata.created_at", "\"soon\"", "metadata.created_at: is not an ISO 8601 date"),
    Rule("metadata.updated_at", "1", "metadata.updated_at: is an int32, not a date"),
    Rule(
      "metadata.updated_at", "{\"$date\": {\"$numberLong\": \"253402300800000\"}}",
      "metadata.updated_at: is outside the years 1 to 9999"),
    Rule("metadata.git_commit", nil, nil),
    Rule("metadata.git_commit", "{}", "metadata.git_commit: is an object, not a string"),
    Rule("unknown_field", "{\"anything\": [1]}", nil),
  ]

  @Test(arguments: Documents.agents, common)
  func `a rule of all agents`(_ base: String, _ rule: Rule) throws {
    let document = try Documents.changed(base, rule.path, to: rule.value)
    #expect(problem(document, as: AgentConfigDocument.self) == rule.problem)
  }

  static let byType: [(String, [Rule])] = [
    (
      Documents.extractor,
      [
        Rule("llm", nil, "llm: is missing"), Rule("llm", "null", "llm: is missing"),
        Rule("extraction_schema", nil, "extraction_schema: is missing"), Rule("extraction_schema", "[]", nil),
        Rule("extraction_schema", "\"x\"", "extraction_schema: is a string, not an object or an array"),
        Rule("normalization_rules", nil, nil), Rule("normalization_rules", "null", nil),
        Rule("normalization_rules", "{}", "normalization_rules: is an object, not an array"),
      ]
    ),
    (
      Documents.explorer,
      [
        Rule("llm", "null", "llm: is missing"), Rule("rag", nil, nil), Rule("rag", "{}", nil),
        Rule("rag.enabled", "1", "rag.enabled: is an int32, not a bool"),
        Rule("rag.query_template", "1", "rag.query_template: is an int32, not a string"),
        Rule("rag.knowledge_domains", "[1]", "rag.knowledge_domains.0: is an int32, not a string"),
        Rule("rag.top_k", "0", "rag.top_k: 0 is below 1"), Rule("rag.top_k", "101", "rag.top_k: 101 is above 100"),
        Rule("rag.top_k", "100", nil), Rule("rag.min_similarity", "1", nil),
        Rule("rag.min_similarity", "1.5", "rag.min_similarity: 1.5 is above 1.0"),
        Rule("rag.min_similarity", "-1", "rag.min_similarity: -1.0 is below 0.0"),
      ]
    ),
    (
      Documents.generator,
      [
        Rule("llm", "null", "llm: is missing"), Rule("rag", nil, nil), Rule("output_format", nil, nil),
        Rule("output_format", "\"text\"", nil),
        Rule("output_format", "\"pdf\"", "output_format: must be one of json, markdown, text"),
      ]
    ),
    (
      Documents.conversational,
      [
        Rule("llm", "null", "llm: is missing"), Rule("rag", nil, nil), Rule("state", nil, nil),
        Rule("intent_model", nil, nil), Rule("intent_model", "1", "intent_model: is an int32, not a string"),
        Rule("response_model", "[]", "response_model: is an array, not a string"),
        Rule("state", "[]", "state: is an array, not an object"),
        Rule("state.max_turns", "0", "state.max_turns: 0 is below 1"),
        Rule("state.max_turns", "51", "state.max_turns: 51 is above 50"),
        Rule("state.session_ttl_minutes", "0", "state.session_ttl_minutes: 0 is below 1"),
        Rule("state.session_ttl_minutes", "1441", "state.session_ttl_minutes: 1441 is above 1440"),
        Rule("state.checkpoint_backend", "\"redis\"", "state.checkpoint_backend: must be one of mongodb"),
        Rule("state.context_window", "0", "state.context_window: 0 is below 1"),
        Rule("state.context_window", "21", "state.context_window: 21 is above 20"),
      ]
    ),
    (
      Documents.tieredVision,
      [
        Rule("llm", nil, nil), Rule("llm", "null", nil), Rule("rag", nil, nil),
        Rule("tiered_llm", nil, "tiered_llm: is missing"),
        Rule("tiered_llm.screen", nil, "tiered_llm.screen: is missing"),
        Rule("tiered_llm.diagnose.model", nil, "tiered_llm.diagnose.model: is missing"),
        Rule("tiered_llm.diagnose.max_tokens", "0", "tiered_llm.diagnose.max_tokens: 0 is below 1"),
        Rule("routing", nil, nil),
        Rule("routing.screen_threshold", "1.1", "routing.screen_threshold: 1.1 is above 1.0"),
        Rule("routing.healthy_skip_threshold", "-0.1", "routing.healthy_skip_threshold: -0.1 is below 0.0"),
        Rule("routing.obvious_skip_threshold", "2", "routing.obvious_skip_threshold: 2.0 is above 1.0"),
      ]
    ),
  ]

  @Test func `the rules of each type`() throws {
    for (base, rules) in Self.byType {
      for rule in rules {
        let document = try Documents.changed(base, rule.path, to: rule.value)
        #expect(problem(document, as: AgentConfigDocument.self) == rule.problem, "\(rule.testDescription)")
      }
    }
  }

  @Test func `defaults`() throws {
    let bare = """
      "id": "a:1.0.0", "agent_id": "a", "version": "1.0.0", "description": "", "llm": {"model": "m"},
      "input": {"event": "", "schema": {}}, "output": {"event": "", "schema": {}}, "error_handling": {}, "rag": {},
      "metadata": {"author": "", "created_at": "2026-01-01", "updated_at": "2026-01-01"}
      """
    let talker = try read("{\"type\": \"conversational\", \(bare)}", as: AgentConfigDocument.self)
    #expect(talker.status == .draft)
    #expect(talker.llm?.temperature == 0.3)
    #expect(talker.llm?.maxTokens == 2000)
    #expect(talker.mcpSources.isEmpty)
    #expect(talker.errorHandling.maxAttempts == 3)
    #expect(talker.errorHandling.backoffMilliseconds == [100, 500, 2000])
    #expect(talker.errorHandling.onFailure == .publishErrorEvent)
    #expect(talker.errorHandling.deadLetterTopic == nil)
    guard case .conversational(let conversational) = talker.kind else { throw Documents.BadPath() }
    #expect(conversational.rag.enabled)
    #expect(conversational.rag.knowledgeDomains.isEmpty)
    #expect(conversational.rag.topK == 5)
    #expect(conversational.rag.minSimilarity == 0.7)
    #expect(conversational.state.maxTurns == 5)
    #expect(conversational.state.sessionTTLMinutes == 30)
    #expect(conversational.state.checkpointBackend == "mongodb")
    #expect(conversational.state.contextWindow == 3)
    #expect(conversational.intentModel == "anthropic/claude-3-haiku")
    #expect(conversational.responseModel == "anthropic/claude-3-5-sonnet")

    let writer = try read("{\"type\": \"generator\", \(bare)}", as: AgentConfigDocument.self)
    guard case .generator(let generator) = writer.kind else { throw Documents.BadPath() }
    #expect(generator.outputFormat == .markdown)

    let tiers = "\"tiered_llm\": {\"screen\": {\"model\": \"s\"}, \"diagnose\": {\"model\": \"d\"}}"
    let seer = try read("{\"type\": \"tiered-vision\", \(tiers), \(bare)}", as: AgentConfigDocument.self)
    guard case .tieredVision(let vision) = seer.kind else { throw Documents.BadPath() }
    #expect(vision.routing.screenThreshold == 0.7)
    #expect(vision.routing.healthySkipThreshold == 0.85)
    #expect(vision.routing.obviousSkipThreshold == 0.75)
  }

  @Test func `keys, lists and precedence`() throws {
    let agent = try read(Documents.tieredVision, as: AgentConfigDocument.self)
    #expect(agent.key == LookupKey("a", space: AgentConfigDocument.Space.agentID))
    #expect(agent.aliases.isEmpty)
    #expect(agent.listings == ["", "tiered-vision"])
    #expect(AgentConfigDocument.variant(ofSpace: 0) == nil)
    let ten = try read(
      Documents.changed(
        Documents.explorer.replacing("1.2.3", with: "1.10.0"), "status", to: "\"active\""), as: AgentConfigDocument.self
    )
    #expect(agent.precedence < ten.precedence)
  }

  @Test func `the filter`() throws {
    func matches(_ json: String) throws -> Bool {
      try BSONDocument(json: json).withObject { AgentConfigDocument.filter.matches($0) }
    }
    #expect(try matches("{\"status\": \"active\"}"))
    #expect(try matches("{\"status\": [\"draft\", \"active\"]}"))
    #expect(try !matches("{\"status\": \"staged\"}"))
    #expect(try !matches("{\"status\": [[\"active\"]]}"))
    #expect(try !matches("{\"status\": \"Active\"}"))
    #expect(try !matches("{}"))
  }
}
