// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON

extension AgentConfigDocument {
  /// Reads and validates a document of `agent_configs`.
  ///
  /// - Parameter document: the document as stored.
  /// - Throws: a `DocumentProblem` that names the invalid field.
  public init(reading document: BSONObject) throws(DocumentProblem) {
    agentID = try document.lookupKey("agent_id")
    version = try document.version("version")
    id = try document.versionedID(of: agentID, "agent_id", version)
    let type: AgentType = try document.choice("type")
    status = try document.choice("status", default: .draft)
    description = try document.string("description")
    input = try Event(reading: document.object("input"))
    output = try Event(reading: document.object("output"))
    if type == .tieredVision {
      llm = try document.optionalObject("llm").map(LanguageModel.init(reading:))
    } else {
      llm = try LanguageModel(reading: document.object("llm"))
    }
    mcpSources = try document.optionalObjects("mcp_sources", MCPSource.init(reading:)) ?? []
    errorHandling = try ErrorHandling(reading: document.objectOrEmpty("error_handling"))
    metadata = try Metadata(reading: document.object("metadata"))
    kind = try Kind(type, reading: document)
  }
}

extension AgentConfigDocument.Kind {
  fileprivate init(_ type: AgentConfigDocument.AgentType, reading document: BSONObject) throws(DocumentProblem) {
    switch type {
    case .extractor:
      self = .extractor(try AgentConfigDocument.Extractor(reading: document))
    case .explorer:
      self = .explorer(try AgentConfigDocument.RAG(reading: document.objectOrEmpty("rag")))
    case .generator:
      self = .generator(try AgentConfigDocument.Generator(reading: document))
    case .conversational:
      self = .conversational(try AgentConfigDocument.Conversational(reading: document))
    case .tieredVision:
      self = .tieredVision(try AgentConfigDocument.TieredVision(reading: document))
    }
  }
}

extension AgentConfigDocument.Event {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    event = try object.string("event")
    schemaJSON = try object.json("schema")
  }
}

extension AgentConfigDocument.LanguageModel {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    model = try object.string("model")
    temperature = try object.double("temperature", in: 0...2, default: 0.3)
    maxTokens = try object.int32("max_tokens", in: 1...100_000, default: 2000)
  }
}

extension AgentConfigDocument.MCPSource {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    server = try object.string("server")
    tools = try object.strings("tools")
  }
}

extension AgentConfigDocument.ErrorHandling {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    maxAttempts = try object.int32("max_attempts", in: 1...10, default: 3)
    backoffMilliseconds =
      try object.optionalIntegers("backoff_ms", in: Int64.min...Int64.max) ?? [100, 500, 2000]
    onFailure = try object.choice("on_failure", default: .publishErrorEvent)
    deadLetterTopic = try object.optionalString("dead_letter_topic")
  }
}

extension AgentConfigDocument.Metadata {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    author = try object.string("author")
    createdAt = try object.optionalTimestamp("created_at")
    updatedAt = try object.optionalTimestamp("updated_at")
    gitCommit = try object.optionalString("git_commit")
  }
}

extension AgentConfigDocument.Extractor {
  fileprivate init(reading document: BSONObject) throws(DocumentProblem) {
    extractionSchemaJSON = try document.json("extraction_schema")
    normalizationRulesJSON = try document.optionalJSON("normalization_rules", .array)
  }
}

extension AgentConfigDocument.Generator {
  fileprivate init(reading document: BSONObject) throws(DocumentProblem) {
    rag = try AgentConfigDocument.RAG(reading: document.objectOrEmpty("rag"))
    outputFormat = try document.choice("output_format", default: .markdown)
  }
}

extension AgentConfigDocument.Conversational {
  fileprivate init(reading document: BSONObject) throws(DocumentProblem) {
    rag = try AgentConfigDocument.RAG(reading: document.objectOrEmpty("rag"))
    state = try AgentConfigDocument.ConversationState(reading: document.objectOrEmpty("state"))
    intentModel = try document.optionalString("intent_model") ?? "anthropic/claude-3-haiku"
    responseModel = try document.optionalString("response_model") ?? "anthropic/claude-3-5-sonnet"
  }
}

extension AgentConfigDocument.TieredVision {
  fileprivate init(reading document: BSONObject) throws(DocumentProblem) {
    rag = try AgentConfigDocument.RAG(reading: document.objectOrEmpty("rag"))
    let tiers = try document.object("tiered_llm")
    screen = try AgentConfigDocument.LanguageModel(reading: tiers.object("screen"))
    diagnose = try AgentConfigDocument.LanguageModel(reading: tiers.object("diagnose"))
    routing = try AgentConfigDocument.Routing(reading: document.objectOrEmpty("routing"))
  }
}

extension AgentConfigDocument.RAG {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    enabled = try object.bool("enabled", default: true)
    queryTemplate = try object.optionalString("query_template")
    knowledgeDomains = try object.optionalStrings("knowledge_domains") ?? []
    topK = try object.int32("top_k", in: 1...100, default: 5)
    minSimilarity = try object.double("min_similarity", in: 0...1, default: 0.7)
  }
}

extension AgentConfigDocument.ConversationState {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    maxTurns = try object.int32("max_turns", in: 1...50, default: 5)
    sessionTTLMinutes = try object.int32("session_ttl_minutes", in: 1...1440, default: 30)
    checkpointBackend = try object.choice("checkpoint_backend", of: ["mongodb"], default: "mongodb")
    contextWindow = try object.int32("context_window", in: 1...20, default: 3)
  }
}

extension AgentConfigDocument.Routing {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    screenThreshold = try object.double("screen_threshold", in: 0...1, default: 0.7)
    healthySkipThreshold = try object.double("healthy_skip_threshold", in: 0...1, default: 0.85)
    obviousSkipThreshold = try object.double("obvious_skip_threshold", in: 0...1, default: 0.75)
  }
}
