internal import CConfigLookupProto

/// A moment of the calendar.
public struct Timestamp: Sendable, Hashable, Comparable {
  /// Milliseconds since 1970-01-01T00:00:00Z.
  public let milliseconds: Int64

  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }
}

/// The configuration of an AI agent: the version of it that is in force.
///
/// A string that the document leaves out is empty. Enumerations of the documents are strings: a server may be newer
/// than this library.
public struct AgentConfig: Sendable, Hashable {
  /// `{agent_id}:{version}`
  public let id: String
  public let agentID: String
  /// `X.Y.Z`
  public let version: String
  public let status: String
  public let description: String
  public let input: Event
  public let output: Event
  /// Nil only for a tiered-vision agent.
  public let llm: LanguageModel?
  public let mcpSources: [MCPSource]
  public let errorHandling: ErrorHandling
  public let metadata: Metadata
  public let kind: Kind

  /// What an agent's type adds.
  public enum Kind: Sendable, Hashable {
    case extractor(Extractor)
    case explorer(RAG)
    case generator(Generator)
    case conversational(Conversational)
    case tieredVision(TieredVision)
    /// A type that this library does not know.
    case unknown(type: String)
  }

  public struct Event: Sendable, Hashable {
    public let event: String
    /// Free-form.
    public let schemaJSON: String
  }

  public struct LanguageModel: Sendable, Hashable {
    public let model: String
    public let temperature: Double
    public let maxTokens: Int
  }

  public struct MCPSource: Sendable, Hashable {
    public let server: String
    public let tools: [String]
  }

  public struct ErrorHandling: Sendable, Hashable {
    public let maxAttempts: Int
    public let backoffMilliseconds: [Int64]
    /// `publish_error_event`, `dead_letter`, `graceful_fallback`
    public let onFailure: String
    public let deadLetterTopic: String
  }

  public struct Metadata: Sendable, Hashable {
    public let author: String
    public let createdAt: Timestamp?
    public let updatedAt: Timestamp?
    public let gitCommit: String
  }

  public struct Extractor: Sendable, Hashable {
    public let extractionSchemaJSON: String
    public let normalizationRulesJSON: String
  }

  public struct Generator: Sendable, Hashable {
    public let rag: RAG
    /// `json`, `markdown`, `text`
    public let outputFormat: String
  }

  public struct Conversational: Sendable, Hashable {
    public let rag: RAG
    public let state: ConversationState
    public let intentModel: String
    public let responseModel: String
  }

  public struct TieredVision: Sendable, Hashable {
    public let rag: RAG
    public let screen: LanguageModel
    public let diagnose: LanguageModel
    public let routing: Routing
  }

  public struct RAG: Sendable, Hashable {
    public let isEnabled: Bool
    public let queryTemplate: String
    public let knowledgeDomains: [String]
    public let topK: Int
    public let minSimilarity: Double
  }

  public struct ConversationState: Sendable, Hashable {
    public let maxTurns: Int
    public let sessionTTLMinutes: Int
    public let checkpointBackend: String
    public let contextWindow: Int
  }

  public struct Routing: Sendable, Hashable {
    public let screenThreshold: Double
    public let healthySkipThreshold: Double
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
    backoffMilliseconds = Array(UnsafeBufferPointer(start: message?.backoff_ms, count: message?.n_backoff_ms ?? 0))
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
