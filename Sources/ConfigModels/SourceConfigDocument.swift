// SPDX-License-Identifier: Apache-2.0
/// The configuration of a source of documents: how they are ingested, validated, transformed and stored. The properties
/// correspond to the fields of a document in `source_configs`.
public struct SourceConfigDocument: Sendable, Equatable {
  /// The id of the source.
  public let sourceID: String
  /// The name for people.
  public let displayName: String
  /// The description of the source.
  public let description: String
  /// Whether the source is enabled.
  public let enabled: Bool
  /// How documents are ingested.
  public let ingestion: Ingestion
  /// How documents are validated; nil if they are not.
  public let validation: Validation?
  /// How documents are transformed.
  public let transformation: Transformation
  /// Where documents are stored.
  public let storage: Storage
  /// The events that are published; nil if there are none.
  public let events: Events?

  /// The mode of ingestion.
  public enum Mode: String, Sendable, CaseIterable {
    /// A blob that arrives in a container triggers ingestion.
    case blobTrigger = "blob_trigger"
    /// A schedule triggers a request to an external service.
    case scheduledPull = "scheduled_pull"
  }

  /// How documents are ingested: the document field `ingestion`.
  public struct Ingestion: Sendable, Equatable {
    /// The format of ingested files.
    public enum FileFormat: String, Sendable, CaseIterable {
      case json, zip
    }
    /// The mechanism that triggers ingestion.
    public enum TriggerMechanism: String, Sendable, CaseIterable {
      /// Azure Event Grid.
      case eventGrid = "event_grid"
    }
    /// The mode of ingestion.
    public let mode: Mode
    /// The container in which blobs arrive; nil if there is none.
    public let landingContainer: String?
    /// A glob pattern for the last component of a path; nil if there is none.
    public let filePattern: String?
    /// The format of files; nil if the document has none.
    public let fileFormat: FileFormat?
    /// The trigger; nil if the document has none.
    public let triggerMechanism: TriggerMechanism?
    /// The type of the processor; nil if the document has none.
    public let processorType: String?
    /// The external provider; nil if the document has none.
    public let provider: String?
    /// The schedule as a cron expression; nil if the document has none.
    public let schedule: String?
    /// The path pattern and the extracted placeholders; nil if the document has none.
    public let pathPattern: Extraction?
    /// The handling of processed files; nil if the document has none.
    public let processedFileConfig: ProcessedFile?
    /// The handling of ZIP files; nil if the document has none.
    public let zipConfig: Zip?
    /// The request of a scheduled pull; nil if the document has none.
    public let request: Request?
    /// The iteration of a scheduled pull; nil if the document has none.
    public let iteration: Iteration?
    /// The retries of a scheduled pull; nil if the document has none.
    public let retry: Retry?
  }

  /// A path pattern and the placeholders to extract.
  public struct Extraction: Sendable, Equatable {
    /// The compiled pattern.
    public let pattern: PathPattern
    /// The names of the placeholders to extract.
    public let extractFields: [String]
  }

  /// The handling of processed files: the document field `processed_file_config`.
  public struct ProcessedFile: Sendable, Equatable {
    /// The action on a processed file.
    public enum Action: String, Sendable, CaseIterable {
      case archive, move, delete
    }
    /// The action on a processed file.
    public let action: Action
    /// The container of archived files; nil if the document has none.
    public let archiveContainer: String?
    /// The retention time of archived files in days; nil if the document has none.
    public let archiveTTLDays: Int32?
    /// The folder of moved files; nil if the document has none.
    public let processedFolder: String?
  }

  /// The handling of ZIP files: the document field `zip_config`.
  public struct Zip: Sendable, Equatable {
    /// The name of the manifest file.
    public let manifestFile: String
    /// The folder of images in the ZIP file; nil if the document has none.
    public let imagesFolder: String?
    /// Whether images are extracted.
    public let extractImages: Bool
    /// The container of extracted images; nil if the document has none.
    public let imageStorageContainer: String?
  }

  /// The request of a scheduled pull: the document field `request`.
  public struct Request: Sendable, Equatable {
    /// The authentication method.
    public enum AuthType: String, Sendable, CaseIterable {
      /// No authentication.
      case none
      /// An API key.
      case apiKey = "api_key"
      /// OAuth 2.0.
      case oauth2
    }
    /// The base URL.
    public let baseURL: String
    /// The authentication method.
    public let authType: AuthType
    /// The name of the secret for authentication, not the secret itself; nil if the document has none.
    public let authSecretKey: String?
    /// The query parameters, in order of key.
    public let parameters: [StringPair]
    /// The timeout in seconds.
    public let timeoutSeconds: Int32
  }

  /// The iteration of a scheduled pull: the document field `iteration`.
  public struct Iteration: Sendable, Equatable {
    /// The name of the iteration variable.
    public let foreach: String
    /// The MCP server that provides the items.
    public let sourceMCP: String
    /// The tool that provides the items.
    public let sourceTool: String
    /// The arguments of the tool as JSON; nil if the document has none.
    public let toolArgumentsJSON: String?
    /// The path of the items in the tool's result; nil if the document has none.
    public let resultPath: String?
    /// The fields that link a result to its item.
    public let injectLinkage: [String]
    /// The number of concurrent requests.
    public let concurrency: Int32
  }

  /// The retries of a scheduled pull: the document field `retry`.
  public struct Retry: Sendable, Equatable {
    /// The growth of the waits between attempts.
    public enum Backoff: String, Sendable, CaseIterable {
      case exponential, linear
    }
    /// The maximum number of attempts.
    public let maxAttempts: Int32
    /// The growth of the waits between attempts.
    public let backoff: Backoff
  }

  /// The validation of documents: the document field `validation`.
  public struct Validation: Sendable, Equatable {
    /// The name of the schema.
    public let schemaName: String
    /// The version of the schema; nil if the document has none.
    public let schemaVersion: Int32?
    /// Whether validation is strict.
    public let strict: Bool
  }

  /// The transformation of documents: the document field `transformation`.
  public struct Transformation: Sendable, Equatable {
    /// The id of the AI agent that transforms documents; nil if there is none.
    public let aiAgentID: String?
    /// The fields to extract.
    public let extractFields: [String]
    /// The field that links documents.
    public let linkField: String
    /// The mapping of field names, in order of key.
    public let fieldMappings: [StringPair]
  }

  /// The storage of documents: the document field `storage`.
  public struct Storage: Sendable, Equatable {
    /// The container of raw documents.
    public let rawContainer: String
    /// The collection of the index.
    public let indexCollection: String
    /// The container of files; nil if the document has none.
    public let fileContainer: String?
    /// The pattern of file paths; nil if the document has none.
    public let filePathPattern: String?
    /// The retention time in days; nil if the document has none.
    public let ttlDays: Int32?
  }

  /// The events that are published: the document field `events`.
  public struct Events: Sendable, Equatable {
    /// The event after success; nil if there is none.
    public let onSuccess: Topic?
    /// The event after failure; nil if there is none.
    public let onFailure: Topic?
  }

  /// A topic and the fields of its payload.
  public struct Topic: Sendable, Equatable {
    /// The name of the topic.
    public let topic: String
    /// The names of the fields in the payload.
    public let payloadFields: [String]
  }
}
