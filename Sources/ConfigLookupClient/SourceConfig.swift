// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto

/// The configuration of a source: where its documents come from, and how they are processed. A string that the document
/// omits is empty.
public struct SourceConfig: Sendable, Hashable {
  /// The id of the source.
  public let sourceID: String
  /// The name of the source for people.
  public let displayName: String
  /// The description of the source.
  public let description: String
  /// Whether the source is enabled. Only enabled sources are served.
  public let isEnabled: Bool
  /// How documents are ingested.
  public let ingestion: Ingestion
  /// How documents are validated; nil if they are not.
  public let validation: Validation?
  /// How documents are transformed.
  public let transformation: Transformation
  /// Where documents are stored.
  public let storage: Storage
  /// The event after successful processing; nil for none.
  public let onSuccess: Topic?
  /// The event after failed processing; nil for none.
  public let onFailure: Topic?

  /// How the documents of a source are ingested.
  public struct Ingestion: Sendable, Hashable {
    /// The ingestion mode: `blob_trigger` or `scheduled_pull`.
    public let mode: String
    /// The container in which blobs land.
    public let landingContainer: String
    /// A glob that the last component of a blob's path must match; empty if any may.
    public let filePattern: String
    /// The file format: `json` or `zip`.
    public let fileFormat: String
    /// The trigger mechanism: `event_grid`.
    public let triggerMechanism: String
    /// The type of the processor.
    public let processorType: String
    /// The name of the provider.
    public let provider: String
    /// The schedule, as a cron expression.
    public let schedule: String
    /// The pattern of blob paths; nil for none.
    public let pathPattern: PathPattern?
    /// The treatment of processed files; nil for none.
    public let processedFile: ProcessedFile?
    /// The layout of ZIP files; nil for none.
    public let zip: Zip?
    /// The HTTP request of a scheduled pull; nil for none.
    public let request: Request?
    /// The iteration of a scheduled pull; nil for none.
    public let iteration: Iteration?
    /// The retries of a scheduled pull; nil for none.
    public let retry: Retry?
  }

  /// A pattern of blob paths, from which fields are extracted.
  public struct PathPattern: Sendable, Hashable {
    /// The pattern, as `results/{plantation_id}/{batch_id}.json`.
    public let pattern: String
    /// The names of the placeholders whose values ``ResolvedBlob/fields`` contains.
    public let extractFields: [String]
  }

  /// The treatment of processed files.
  public struct ProcessedFile: Sendable, Hashable {
    /// The action: `archive`, `move` or `delete`.
    public let action: String
    /// The container for archived files.
    public let archiveContainer: String
    /// The lifetime of archived files, in days; nil if the document has none.
    public let archiveTTLDays: Int?
    /// The folder for moved files.
    public let processedFolder: String
  }

  /// The layout of ZIP files.
  public struct Zip: Sendable, Hashable {
    /// The path of the manifest.
    public let manifestFile: String
    /// The path of the folder of images.
    public let imagesFolder: String
    /// Whether images are extracted.
    public let extractsImages: Bool
    /// The container for extracted images.
    public let imageStorageContainer: String
  }

  /// An HTTP request.
  public struct Request: Sendable, Hashable {
    /// The base of the URL.
    public let baseURL: String
    /// The type of authentication: `none`, `api_key` or `oauth2`.
    public let authType: String
    /// The name of the secret with the credentials.
    public let authSecretKey: String
    /// The query parameters.
    public let parameters: [String: String]
    /// The timeout.
    public let timeout: Duration
  }

  /// An iteration of a request over the items that a tool returns.
  public struct Iteration: Sendable, Hashable {
    /// The name of the iteration variable.
    public let foreach: String
    /// The MCP server of the tool.
    public let sourceMCP: String
    /// The name of the tool.
    public let sourceTool: String
    /// The JSON text of the tool's arguments, which are free-form.
    public let toolArgumentsJSON: String
    /// The path of the items in the tool's result.
    public let resultPath: String
    /// The names of the fields that are copied from an item to its document.
    public let injectLinkage: [String]
    /// The maximum number of concurrent requests.
    public let concurrency: Int
  }

  /// The retries of a request.
  public struct Retry: Sendable, Hashable {
    /// The maximum number of attempts.
    public let maxAttempts: Int
    /// The kind of backoff: `exponential` or `linear`.
    public let backoff: String
  }

  /// The validation of documents against a schema.
  public struct Validation: Sendable, Hashable {
    /// The name of the schema.
    public let schemaName: String
    /// The version of the schema; nil if the document has none.
    public let schemaVersion: Int?
    /// Whether the validation is strict.
    public let isStrict: Bool
  }

  /// The transformation of documents.
  public struct Transformation: Sendable, Hashable {
    /// The id of the AI agent that transforms the documents; empty for none.
    public let aiAgentID: String
    /// The names of the fields to extract.
    public let extractFields: [String]
    /// The name of the field that links a document to its subject.
    public let linkField: String
    /// The new names of fields, by their old names.
    public let fieldMappings: [String: String]
  }

  /// The storage of documents.
  public struct Storage: Sendable, Hashable {
    /// The container for raw documents.
    public let rawContainer: String
    /// The collection for the index.
    public let indexCollection: String
    /// The container for files.
    public let fileContainer: String
    /// The pattern of the paths of stored files.
    public let filePathPattern: String
    /// The lifetime of documents, in days; nil if the document has none.
    public let ttlDays: Int?
  }

  /// An event topic and the fields of its payload.
  public struct Topic: Sendable, Hashable {
    /// The name of the topic.
    public let topic: String
    /// The names of the fields of the payload.
    public let payloadFields: [String]
  }
}

extension SourceConfig {
  init(_ message: Configlookup__V1__SourceConfig) {
    sourceID = message.source_id.string
    displayName = message.display_name.string
    description = message.description.string
    isEnabled = message.enabled == 1
    ingestion = Ingestion(message.ingestion?.pointee)
    validation = message.validation.map { Validation($0.pointee) }
    transformation = Transformation(message.transformation?.pointee)
    storage = Storage(message.storage?.pointee)
    onSuccess = (message.events?.pointee.on_success).map { Topic($0.pointee) }
    onFailure = (message.events?.pointee.on_failure).map { Topic($0.pointee) }
  }
}

extension SourceConfig.Ingestion {
  fileprivate init(_ message: Configlookup__V1__Ingestion?) {
    mode = message?.mode.string ?? ""
    landingContainer = message?.landing_container.string ?? ""
    filePattern = message?.file_pattern.string ?? ""
    fileFormat = message?.file_format.string ?? ""
    triggerMechanism = message?.trigger_mechanism.string ?? ""
    processorType = message?.processor_type.string ?? ""
    provider = message?.provider.string ?? ""
    schedule = message?.schedule.string ?? ""
    pathPattern = (message?.path_pattern).map {
      SourceConfig.PathPattern(
        pattern: $0.pointee.pattern.string,
        extractFields: strings($0.pointee.n_extract_fields, $0.pointee.extract_fields))
    }
    processedFile = (message?.processed_file_config).map { SourceConfig.ProcessedFile($0.pointee) }
    zip = (message?.zip_config).map {
      SourceConfig.Zip(
        manifestFile: $0.pointee.manifest_file.string, imagesFolder: $0.pointee.images_folder.string,
        extractsImages: $0.pointee.extract_images == 1,
        imageStorageContainer: $0.pointee.image_storage_container.string)
    }
    request = (message?.request).map { SourceConfig.Request($0.pointee) }
    iteration = (message?.iteration).map { SourceConfig.Iteration($0.pointee) }
    retry = (message?.retry).map {
      SourceConfig.Retry(maxAttempts: Int($0.pointee.max_attempts), backoff: $0.pointee.backoff.string)
    }
  }
}

extension SourceConfig.ProcessedFile {
  fileprivate init(_ message: Configlookup__V1__ProcessedFileConfig) {
    action = message.action.string
    archiveContainer = message.archive_container.string
    let isThere =
      message.archive_ttl_days_present_case
      == CONFIGLOOKUP__V1__PROCESSED_FILE_CONFIG__ARCHIVE_TTL_DAYS_PRESENT_ARCHIVE_TTL_DAYS
    archiveTTLDays = isThere ? Int(message.archive_ttl_days) : nil
    processedFolder = message.processed_folder.string
  }
}

extension SourceConfig.Request {
  fileprivate init(_ message: Configlookup__V1__RequestConfig) {
    baseURL = message.base_url.string
    authType = message.auth_type.string
    authSecretKey = message.auth_secret_key.string
    parameters = Dictionary(
      messages(message.n_parameters, message.parameters) { ($0.key.string, $0.value.string) }
    ) { $1 }
    timeout = .seconds(message.timeout_seconds)
  }
}

extension SourceConfig.Iteration {
  fileprivate init(_ message: Configlookup__V1__IterationConfig) {
    foreach = message.foreach.string
    sourceMCP = message.source_mcp.string
    sourceTool = message.source_tool.string
    toolArgumentsJSON = message.tool_arguments_json.string
    resultPath = message.result_path.string
    injectLinkage = strings(message.n_inject_linkage, message.inject_linkage)
    concurrency = Int(message.concurrency)
  }
}

extension SourceConfig.Validation {
  fileprivate init(_ message: Configlookup__V1__Validation) {
    schemaName = message.schema_name.string
    let isThere =
      message.schema_version_present_case == CONFIGLOOKUP__V1__VALIDATION__SCHEMA_VERSION_PRESENT_SCHEMA_VERSION
    schemaVersion = isThere ? Int(message.schema_version) : nil
    isStrict = message.strict == 1
  }
}

extension SourceConfig.Transformation {
  fileprivate init(_ message: Configlookup__V1__Transformation?) {
    aiAgentID = message?.ai_agent_id.string ?? ""
    extractFields = strings(message?.n_extract_fields ?? 0, message?.extract_fields)
    linkField = message?.link_field.string ?? ""
    fieldMappings = Dictionary(
      messages(message?.n_field_mappings ?? 0, message?.field_mappings) { ($0.key.string, $0.value.string) }
    ) { $1 }
  }
}

extension SourceConfig.Storage {
  fileprivate init(_ message: Configlookup__V1__Storage?) {
    rawContainer = message?.raw_container.string ?? ""
    indexCollection = message?.index_collection.string ?? ""
    fileContainer = message?.file_container.string ?? ""
    filePathPattern = message?.file_path_pattern.string ?? ""
    ttlDays =
      message?.ttl_days_present_case == CONFIGLOOKUP__V1__STORAGE__TTL_DAYS_PRESENT_TTL_DAYS
      ? Int(message?.ttl_days ?? 0) : nil
  }
}

extension SourceConfig.Topic {
  fileprivate init(_ message: Configlookup__V1__EventTopic) {
    topic = message.topic.string
    payloadFields = strings(message.n_payload_fields, message.payload_fields)
  }
}
