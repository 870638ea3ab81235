// SPDX-License-Identifier: Apache-2.0
/// One version of the configuration of an AI agent. The properties correspond to the fields of a document in
/// `agent_configs`.
public struct AgentConfigDocument: Sendable, Equatable {
  /// The id: `{agent_id}:{version}`.
  public let id: String
  /// The id of the agent.
  public let agentID: String
  /// The version of this configuration.
  public let version: SemanticVersion
  /// The status of this version.
  public let status: DocumentStatus
  /// The description of the agent.
  public let description: String
  /// The event that the agent consumes.
  public let input: Event
  /// The event that the agent produces.
  public let output: Event
  /// The language model; nil only for a tiered-vision agent.
  public let llm: LanguageModel?
  /// The tools that the agent may call.
  public let mcpSources: [MCPSource]
  /// The handling of errors.
  public let errorHandling: ErrorHandling
  /// The author and dates.
  public let metadata: Metadata
  /// The fields that depend on the type of the agent.
  public let kind: Kind

  /// The type of an agent, with the fields that only this type has.
  public enum Kind: Sendable, Equatable {
    /// The type `extractor`, with its extraction schema.
    case extractor(Extractor)
    /// The type `explorer`, with its retrieval-augmented generation.
    case explorer(RAG)
    /// The type `generator`, with its output format.
    case generator(Generator)
    /// The type `conversational`, with its state and its two models.
    case conversational(Conversational)
    /// The type `tiered-vision`, with its two models and its routing.
    case tieredVision(TieredVision)

    /// The type without the fields.
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

  /// The values of the document field `type`.
  public enum AgentType: String, Sendable, CaseIterable {
    case extractor, explorer, generator, conversational
    case tieredVision = "tiered-vision"
  }

  /// An event that an agent consumes or produces.
  public struct Event: Sendable, Equatable {
    /// The name of the event.
    public let event: String
    /// The schema of the event as JSON.
    public let schemaJSON: String
  }

  /// A language model and its parameters: the document field `llm`.
  public struct LanguageModel: Sendable, Equatable {
    /// The name of the model.
    public let model: String
    /// The sampling temperature, 0 to 2.
    public let temperature: Double
    /// The maximum number of tokens of a response, 1 to 100,000.
    public let maxTokens: Int32
  }

  /// A server of the Model Context Protocol and the tools that the agent may use.
  public struct MCPSource: Sendable, Equatable {
    /// The name of the server.
    public let server: String
    /// The names of the tools.
    public let tools: [String]
  }

  /// The handling of errors: the document field `error_handling`.
  public struct ErrorHandling: Sendable, Equatable {
    /// The action after the last attempt failed.
    public enum OnFailure: String, Sendable, CaseIterable {
      /// Publishes an error event.
      case publishErrorEvent = "publish_error_event"
      /// Publishes to the dead-letter topic.
      case deadLetter = "dead_letter"
      /// Continues with a fallback.
      case gracefulFallback = "graceful_fallback"
    }
    /// The maximum number of attempts, 1 to 10.
    public let maxAttempts: Int32
    /// The waits between attempts, in milliseconds.
    public let backoffMilliseconds: [Int64]
    /// The action after the last attempt failed.
    public let onFailure: OnFailure
    /// The dead-letter topic; nil if there is none.
    public let deadLetterTopic: String?
  }

  /// The author and dates of the document.
  public struct Metadata: Sendable, Equatable {
    /// The name of the author.
    public let author: String
    /// The creation date in milliseconds since 1970; nil if the document has none.
    public let createdAt: Int64?
    /// The date of the last update in milliseconds since 1970; nil if the document has none.
    public let updatedAt: Int64?
    /// The Git commit of the configuration; nil if the document has none.
    public let gitCommit: String?
  }

  /// The fields of an extractor.
  public struct Extractor: Sendable, Equatable {
    /// The schema of the extracted data as JSON.
    public let extractionSchemaJSON: String
    /// The normalization rules as a JSON array; nil if the document has none.
    public let normalizationRulesJSON: String?
  }

  /// The fields of a generator.
  public struct Generator: Sendable, Equatable {
    /// The format of generated texts.
    public enum OutputFormat: String, Sendable, CaseIterable {
      case json, markdown, text
    }
    /// The retrieval-augmented generation.
    public let rag: RAG
    /// The format of generated texts.
    public let outputFormat: OutputFormat
  }

  /// The fields of a conversational agent.
  public struct Conversational: Sendable, Equatable {
    /// The retrieval-augmented generation.
    public let rag: RAG
    /// The state of a conversation.
    public let state: ConversationState
    /// The document field `intent_model`: the name of a model.
    public let intentModel: String
    /// The document field `response_model`: the name of a model.
    public let responseModel: String
  }

  /// The fields of a tiered-vision agent.
  public struct TieredVision: Sendable, Equatable {
    /// The retrieval-augmented generation.
    public let rag: RAG
    /// The model of the first tier: the document field `tiered_llm.screen`.
    public let screen: LanguageModel
    /// The model of the second tier: the document field `tiered_llm.diagnose`.
    public let diagnose: LanguageModel
    /// The thresholds for routing between the tiers.
    public let routing: Routing
  }

  /// Retrieval-augmented generation: the document field `rag`.
  public struct RAG: Sendable, Equatable {
    /// Whether retrieval is used.
    public let enabled: Bool
    /// The template of queries; nil if the document has none.
    public let queryTemplate: String?
    /// The domains of knowledge that are searched.
    public let knowledgeDomains: [String]
    /// The document field `top_k`, 1 to 100.
    public let topK: Int32
    /// The document field `min_similarity`, 0 to 1.
    public let minSimilarity: Double
  }

  /// The state of a conversation: the document field `state`.
  public struct ConversationState: Sendable, Equatable {
    /// The maximum number of turns of a conversation, 1 to 50.
    public let maxTurns: Int32
    /// The time until an idle session expires, in minutes, 1 to 1440.
    public let sessionTTLMinutes: Int32
    /// The storage of checkpoints; always `mongodb`.
    public let checkpointBackend: String
    /// The document field `context_window`, 1 to 20.
    public let contextWindow: Int32
  }

  /// The thresholds of a tiered-vision agent: the document field `routing`. Each is 0 to 1.
  public struct Routing: Sendable, Equatable {
    /// The document field `screen_threshold`.
    public let screenThreshold: Double
    /// The document field `healthy_skip_threshold`.
    public let healthySkipThreshold: Double
    /// The document field `obvious_skip_threshold`.
    public let obviousSkipThreshold: Double
  }
}
