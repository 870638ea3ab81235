// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto

/// A date and time in UTC with a resolution of one millisecond.
public struct Timestamp: Sendable, Hashable, Comparable {
  /// Milliseconds since 1970-01-01T00:00:00Z.
  public let milliseconds: Int64

  /// Makes a timestamp.
  ///
  /// - Parameter milliseconds: milliseconds since 1970-01-01T00:00:00Z.
  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  /// Compares two timestamps.
  ///
  /// - Parameters:
  ///   - left: a timestamp.
  ///   - right: another timestamp.
  /// - Returns: whether `left` is the earlier one.
  public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }
}

/// The version of an AI agent's configuration that is in force.
///
/// A string that the document omits is empty. Enumerations of the documents are strings, because a server may be of a
/// newer version than this library.
public struct AgentConfig: Sendable, Hashable {
  /// The id of this version: `{agent_id}:{version}`.
  public let id: String
  /// The id of the agent.
  public let agentID: String
  /// The version, by Semantic Versioning: `X.Y.Z`.
  public let version: String
  /// The status of the document: `active`.
  public let status: String
  /// The description of the agent.
  public let description: String
  /// The event that starts the agent.
  public let input: Event
  /// The event that the agent publishes.
  public let output: Event
  /// The language model. Nil only for a tiered-vision agent.
  public let llm: LanguageModel?
  /// The MCP servers that the agent may use.
  public let mcpSources: [MCPSource]
  /// The handling of errors.
  public let errorHandling: ErrorHandling
  /// The author, dates and origin of the document.
  public let metadata: Metadata
  /// The part of the configuration that depends on the agent's type.
  public let kind: Kind

  /// The part of a configuration that depends on the agent's type.
  public enum Kind: Sendable, Hashable {
    /// An agent that extracts structured data.
    case extractor(Extractor)
    /// An agent that explores data with retrieval-augmented generation.
    case explorer(RAG)
    /// An agent that generates text.
    case generator(Generator)
    /// An agent that converses with a user.
    case conversational(Conversational)
    /// An agent that screens images with one model and diagnoses with another.
    case tieredVision(TieredVision)
    /// A type that this version of the library does not support.
    case unknown(type: String)
  }

  /// An event and the schema of its payload.
  public struct Event: Sendable, Hashable {
    /// The name of the event.
    public let event: String
    /// The JSON text of the schema, which is free-form.
    public let schemaJSON: String
  }

  /// A language model and its parameters.
  public struct LanguageModel: Sendable, Hashable {
    /// The name of the model.
    public let model: String
    /// The sampling temperature, 0 to 2.
    public let temperature: Double
    /// The maximum number of tokens of an answer.
    public let maxTokens: Int
  }

  /// An MCP server and the tools of it that the agent may use.
  public struct MCPSource: Sendable, Hashable {
    /// The name of the server.
    public let server: String
    /// The names of the tools.
    public let tools: [String]
  }

  /// The handling of errors.
  public struct ErrorHandling: Sendable, Hashable {
    /// The maximum number of attempts, 1 to 10.
    public let maxAttempts: Int
    /// The time before each retry.
    public let backoff: [Duration]
    /// The action after the last attempt: `publish_error_event`, `dead_letter` or `graceful_fallback`.
    public let onFailure: String
    /// The topic for dead letters.
    public let deadLetterTopic: String
  }

  /// The author, dates and origin of an agent config's document.
  public struct Metadata: Sendable, Hashable {
    /// The author.
    public let author: String
    /// When the document was created; nil if it has no date.
    public let createdAt: Timestamp?
    /// When the document was last changed; nil if it has no date.
    public let updatedAt: Timestamp?
    /// The commit from which the document was made.
    public let gitCommit: String
  }

  /// The configuration of an extractor.
  public struct Extractor: Sendable, Hashable {
    /// The JSON text of the schema of the extracted data, which is free-form.
    public let extractionSchemaJSON: String
    /// The JSON text of the normalization rules, a free-form array; empty if there is none.
    public let normalizationRulesJSON: String
  }

  /// The configuration of a generator.
  public struct Generator: Sendable, Hashable {
    /// The retrieval of knowledge.
    public let rag: RAG
    /// The format of the output: `json`, `markdown` or `text`.
    public let outputFormat: String
  }

  /// The configuration of a conversational agent.
  public struct Conversational: Sendable, Hashable {
    /// The retrieval of knowledge.
    public let rag: RAG
    /// The state of a conversation.
    public let state: ConversationState
    /// The model that detects the user's intent.
    public let intentModel: String
    /// The model that writes the response.
    public let responseModel: String
  }

  /// The configuration of a tiered-vision agent.
  public struct TieredVision: Sendable, Hashable {
    /// The retrieval of knowledge.
    public let rag: RAG
    /// The model of the first tier, which screens images.
    public let screen: LanguageModel
    /// The model of the second tier, which diagnoses.
    public let diagnose: LanguageModel
    /// The thresholds that decide between the tiers.
    public let routing: Routing
  }

  /// Retrieval-augmented generation.
  public struct RAG: Sendable, Hashable {
    /// Whether retrieval is enabled.
    public let isEnabled: Bool
    /// The template of the query; empty if there is none.
    public let queryTemplate: String
    /// The knowledge domains in which to search.
    public let knowledgeDomains: [String]
    /// The maximum number of results of the retrieval, 1 to 100.
    public let topK: Int
    /// The lowest similarity of a result, 0 to 1.
    public let minSimilarity: Double
  }

  /// The state of a conversation.
  public struct ConversationState: Sendable, Hashable {
    /// The maximum number of turns, 1 to 50.
    public let maxTurns: Int
    /// The lifetime of a session, in minutes: 1 to 1440.
    public let sessionTTLMinutes: Int
    /// The store of checkpoints: `mongodb`.
    public let checkpointBackend: String
    /// The number of turns in the context window, 1 to 20.
    public let contextWindow: Int
  }

  /// The thresholds of a tiered-vision agent, each 0 to 1.
  public struct Routing: Sendable, Hashable {
    /// The value of `screen_threshold`.
    public let screenThreshold: Double
    /// The value of `healthy_skip_threshold`.
    public let healthySkipThreshold: Double
    /// The value of `obvious_skip_threshold`.
    public let obviousSkipThreshold: Double
  }
}

extension AgentConfig {
  init(_ message: Configlookup__V1__AgentConfig) {
    id = message.id.string
    agentID = message.agent_id.string
    version = message.version.string
    status = message.status.string
    description = message.description.string
    input = Event(message.input?.pointee)
    output = Event(message.output?.pointee)
    llm = message.llm.map { LanguageModel($0.pointee) }
    mcpSources = messages(message.n_mcp_sources, message.mcp_sources) {
      MCPSource(server: $0.server.string, tools: strings($0.n_tools, $0.tools))
    }
    errorHandling = ErrorHandling(message.error_handling?.pointee)
    metadata = Metadata(message.metadata?.pointee)
    kind = Kind(message)
  }
}

extension AgentConfig.Kind {
  fileprivate init(_ message: Configlookup__V1__AgentConfig) {
    let type = message.type.string
    switch message.type_config_case {
    case CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_EXTRACTOR:
      let extractor = message.extractor?.pointee
      self = .extractor(
        AgentConfig.Extractor(
          extractionSchemaJSON: extractor?.extraction_schema_json.string ?? "",
          normalizationRulesJSON: extractor?.normalization_rules_json.string ?? ""))
    case CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_EXPLORER:
      self = .explorer(AgentConfig.RAG(message.explorer?.pointee.rag?.pointee))
    case CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_GENERATOR:
      let generator = message.generator?.pointee
      self = .generator(
        AgentConfig.Generator(
          rag: AgentConfig.RAG(generator?.rag?.pointee), outputFormat: generator?.output_format.string ?? ""))
    case CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_CONVERSATIONAL:
      let conversational = message.conversational?.pointee
      self = .conversational(
        AgentConfig.Conversational(
          rag: AgentConfig.RAG(conversational?.rag?.pointee),
          state: AgentConfig.ConversationState(conversational?.state?.pointee),
          intentModel: conversational?.intent_model.string ?? "",
          responseModel: conversational?.response_model.string ?? ""))
    case CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_TIERED_VISION:
      let vision = message.tiered_vision?.pointee
      self = .tieredVision(
        AgentConfig.TieredVision(
          rag: AgentConfig.RAG(vision?.rag?.pointee),
          screen: AgentConfig.LanguageModel(vision?.tiered_llm?.pointee.screen?.pointee),
          diagnose: AgentConfig.LanguageModel(vision?.tiered_llm?.pointee.diagnose?.pointee),
          routing: AgentConfig.Routing(vision?.routing?.pointee)))
    default: self = .unknown(type: type)
    }
  }
}

extension AgentConfig.Event {
  fileprivate init(_ message: Configlookup__V1__AgentEvent?) {
    event = message?.event.string ?? ""
    schemaJSON = message?.schema_json.string ?? ""
  }
}

extension AgentConfig.LanguageModel {
  fileprivate init(_ message: Configlookup__V1__LanguageModel?) {
    model = message?.model.string ?? ""
    temperature = message?.temperature ?? 0
    maxTokens = Int(message?.max_tokens ?? 0)
  }
}

extension AgentConfig.ErrorHandling {
  fileprivate init(_ message: Configlookup__V1__ErrorHandling?) {
    maxAttempts = Int(message?.max_attempts ?? 0)
    backoff = UnsafeBufferPointer(start: message?.backoff_ms, count: message?.n_backoff_ms ?? 0)
      .map { .milliseconds($0) }
    onFailure = message?.on_failure.string ?? ""
    deadLetterTopic = message?.dead_letter_topic.string ?? ""
  }
}

extension AgentConfig.Metadata {
  fileprivate init(_ message: Configlookup__V1__AgentMetadata?) {
    author = message?.author.string ?? ""
    createdAt = Timestamp(message?.created_at)
    updatedAt = Timestamp(message?.updated_at)
    gitCommit = message?.git_commit.string ?? ""
  }
}

extension AgentConfig.RAG {
  fileprivate init(_ message: Configlookup__V1__RagConfig?) {
    isEnabled = message?.enabled == 1
    queryTemplate = message?.query_template.string ?? ""
    knowledgeDomains = strings(message?.n_knowledge_domains ?? 0, message?.knowledge_domains)
    topK = Int(message?.top_k ?? 0)
    minSimilarity = message?.min_similarity ?? 0
  }
}

extension AgentConfig.ConversationState {
  fileprivate init(_ message: Configlookup__V1__ConversationState?) {
    maxTurns = Int(message?.max_turns ?? 0)
    sessionTTLMinutes = Int(message?.session_ttl_minutes ?? 0)
    checkpointBackend = message?.checkpoint_backend.string ?? ""
    contextWindow = Int(message?.context_window ?? 0)
  }
}

extension AgentConfig.Routing {
  fileprivate init(_ message: Configlookup__V1__TieredRouting?) {
    screenThreshold = message?.screen_threshold ?? 0
    healthySkipThreshold = message?.healthy_skip_threshold ?? 0
    obviousSkipThreshold = message?.obvious_skip_threshold ?? 0
  }
}
