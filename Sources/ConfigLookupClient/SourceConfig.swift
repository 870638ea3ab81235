internal import CConfigLookupProto

/// Where documents come from and what becomes of them. A string that the document leaves out is empty.
public struct SourceConfig: Sendable, Hashable {
  public let sourceID: String
  public let displayName: String
  public let description: String
  public let isEnabled: Bool
  public let ingestion: Ingestion
  public let validation: Validation?
  public let transformation: Transformation
  public let storage: Storage
  public let onSuccess: Topic?
  public let onFailure: Topic?

  public struct Ingestion: Sendable, Hashable {
    /// `blob_trigger`, `scheduled_pull`
    public let mode: String
    public let landingContainer: String
    /// A glob over the last component of a path.
    public let filePattern: String
    /// `json`, `zip`
    public let fileFormat: String
    /// `event_grid`
    public let triggerMechanism: String
    public let processorType: String
    public let provider: String
    /// cron
    public let schedule: String
    public let pathPattern: PathPattern?
    public let processedFile: ProcessedFile?
    public let zip: Zip?
    public let request: Request?
    public let iteration: Iteration?
    public let retry: Retry?
  }

  public struct PathPattern: Sendable, Hashable {
    /// `results/{plantation_id}/{batch_id}.json`
    public let pattern: String
    public let extractFields: [String]
  }

  public struct ProcessedFile: Sendable, Hashable {
    /// `archive`, `move`, `delete`
    public let action: String
    public let archiveContainer: String
    public let archiveTTLDays: Int?
    public let processedFolder: String
  }

  public struct Zip: Sendable, Hashable {
    public let manifestFile: String
    public let imagesFolder: String
    public let extractsImages: Bool
    public let imageStorageContainer: String
  }

  public struct Request: Sendable, Hashable {
    public let baseURL: String
    /// `none`, `api_key`, `oauth2`
    public let authType: String
    public let authSecretKey: String
    public let parameters: [String: String]
    public let timeoutSeconds: Int
  }

  public struct Iteration: Sendable, Hashable {
    public let foreach: String
    public let sourceMCP: String
    public let sourceTool: String
    /// Free-form.
    public let toolArgumentsJSON: String
    public let resultPath: String
    public let injectLinkage: [String]
    public let concurrency: Int
  }

  public struct Retry: Sendable, Hashable {
    public let maxAttempts: Int
    /// `exponential`, `linear`
    public let backoff: String
  }

  public struct Validation: Sendable, Hashable {
    public let schemaName: String
    public let schemaVersion: Int?
    public let isStrict: Bool
  }

  public struct Transformation: Sendable, Hashable {
    public let aiAgentID: String
    public let extractFields: [String]
    public let linkField: String
    public let fieldMappings: [String: String]
  }

  public struct Storage: Sendable, Hashable {
    public let rawContainer: String
    public let indexCollection: String
    public let fileContainer: String
    public let filePathPattern: String
    public let ttlDays: Int?
  }

  public struct Topic: Sendable, Hashable {
    public let topic: String
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
    timeoutSeconds = Int(message.timeout_seconds)
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
