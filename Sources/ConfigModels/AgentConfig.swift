/// The configuration of an AI agent: one version of it.
public struct AgentConfig: Sendable, Equatable {
  public let id: String
  public let agentID: String
  public let version: SemanticVersion
  public let status: DocumentStatus
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
  public enum Kind: Sendable, Equatable {
    case extractor(Extractor)
    case explorer(RAG)
    case generator(Generator)
    case conversational(Conversational)
    case tieredVision(TieredVision)

    public var type: AgentType {
      switch self {
      case .extractor: .extractor
      case .explorer: .explorer
      case .generator: .generator
      case .conversational: .conversational
      case .tieredVision: .tieredVision
      }
    }
  }

  public enum AgentType: String, Sendable, CaseIterable {
    case extractor, explorer, generator, conversational
    case tieredVision = "tiered-vision"
  }

  public struct Event: Sendable, Equatable {
    public let event: String
    public let schemaJSON: String
  }

  public struct LanguageModel: Sendable, Equatable {
    public let model: String
    public let temperature: Double
    public let maxTokens: Int32
  }

  public struct MCPSource: Sendable, Equatable {
    public let server: String
    public let tools: [String]
  }

  public struct ErrorHandling: Sendable, Equatable {
    public enum OnFailure: String, Sendable, CaseIterable {
      case publishErrorEvent = "publish_error_event"
      case deadLetter = "dead_letter"
      case gracefulFallback = "graceful_fallback"
    }
    public let maxAttempts: Int32
    public let backoffMilliseconds: [Int64]
    public let onFailure: OnFailure
    public let deadLetterTopic: String?
  }

  public struct Metadata: Sendable, Equatable {
    public let author: String
    /// Milliseconds since 1970, as all dates here; nil where the document has none.
    public let createdAt: Int64?
    public let updatedAt: Int64?
    public let gitCommit: String?
  }

  public struct Extractor: Sendable, Equatable {
    public let extractionSchemaJSON: String
    public let normalizationRulesJSON: String?
  }

  public struct Generator: Sendable, Equatable {
    public enum OutputFormat: String, Sendable, CaseIterable {
      case json, markdown, text
    }
    public let rag: RAG
    public let outputFormat: OutputFormat
  }

  public struct Conversational: Sendable, Equatable {
    public let rag: RAG
    public let state: ConversationState
    public let intentModel: String
    public let responseModel: String
  }

  public struct TieredVision: Sendable, Equatable {
    public let rag: RAG
    public let screen: LanguageModel
    public let diagnose: LanguageModel
    public let routing: Routing
  }

  public struct RAG: Sendable, Equatable {
    public let enabled: Bool
    public let queryTemplate: String?
    public let knowledgeDomains: [String]
    public let topK: Int32
    public let minSimilarity: Double
  }

  public struct ConversationState: Sendable, Equatable {
    public let maxTurns: Int32
    public let sessionTTLMinutes: Int32
    public let checkpointBackend: String
    public let contextWindow: Int32
  }

  public struct Routing: Sendable, Equatable {
    public let screenThreshold: Double
    public let healthySkipThreshold: Double
    public let obviousSkipThreshold: Double
  }
}
