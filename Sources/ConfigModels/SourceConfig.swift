/// Where documents come from and what becomes of them.
public struct SourceConfig: Sendable, Equatable {
  public let sourceID: String
  public let displayName: String
  public let description: String
  public let enabled: Bool
  public let ingestion: Ingestion
  public let validation: Validation?
  public let transformation: Transformation
  public let storage: Storage
  public let events: Events?

  public enum Mode: String, Sendable, CaseIterable {
    case blobTrigger = "blob_trigger"
    case scheduledPull = "scheduled_pull"
  }

  public struct Ingestion: Sendable, Equatable {
    public enum FileFormat: String, Sendable, CaseIterable {
      case json, zip
    }
    public enum TriggerMechanism: String, Sendable, CaseIterable {
      case eventGrid = "event_grid"
    }
    public let mode: Mode
    public let landingContainer: String?
    /// A glob over the last component of a path.
    public let filePattern: String?
    public let fileFormat: FileFormat?
    public let triggerMechanism: TriggerMechanism?
    public let processorType: String?
    public let provider: String?
    /// cron
    public let schedule: String?
    public let pathPattern: Extraction?
    public let processedFileConfig: ProcessedFile?
    public let zipConfig: Zip?
    public let request: Request?
    public let iteration: Iteration?
    public let retry: Retry?
  }

  /// A path pattern and the placeholders of it that are wanted.
  public struct Extraction: Sendable, Equatable {
    public let pattern: PathPattern
    public let extractFields: [String]
  }

  public struct ProcessedFile: Sendable, Equatable {
    public enum Action: String, Sendable, CaseIterable {
      case archive, move, delete
    }
    public let action: Action
    public let archiveContainer: String?
    public let archiveTTLDays: Int32?
    public let processedFolder: String?
  }

  public struct Zip: Sendable, Equatable {
    public let manifestFile: String
    public let imagesFolder: String?
    public let extractImages: Bool
    public let imageStorageContainer: String?
  }

  public struct Request: Sendable, Equatable {
    public enum AuthType: String, Sendable, CaseIterable {
      case none
      case apiKey = "api_key"
      case oauth2
    }
    public let baseURL: String
    public let authType: AuthType
    public let authSecretKey: String?
    public let parameters: [StringPair]
    public let timeoutSeconds: Int32
  }

  public struct Iteration: Sendable, Equatable {
    public let foreach: String
    public let sourceMCP: String
    public let sourceTool: String
    public let toolArgumentsJSON: String?
    public let resultPath: String?
    public let injectLinkage: [String]
    public let concurrency: Int32
  }

  public struct Retry: Sendable, Equatable {
    public enum Backoff: String, Sendable, CaseIterable {
      case exponential, linear
    }
    public let maxAttempts: Int32
    public let backoff: Backoff
  }

  public struct Validation: Sendable, Equatable {
    public let schemaName: String
    public let schemaVersion: Int32?
    public let strict: Bool
  }

  public struct Transformation: Sendable, Equatable {
    public let aiAgentID: String?
    public let extractFields: [String]
    public let linkField: String
    public let fieldMappings: [StringPair]
  }

  public struct Storage: Sendable, Equatable {
    public let rawContainer: String
    public let indexCollection: String
    public let fileContainer: String?
    public let filePathPattern: String?
    public let ttlDays: Int32?
  }

  public struct Events: Sendable, Equatable {
    public let onSuccess: Topic?
    public let onFailure: Topic?
  }

  public struct Topic: Sendable, Equatable {
    public let topic: String
    public let payloadFields: [String]
  }
}
