// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON

extension SourceConfigDocument {
  /// Reads and validates a document of `source_configs`.
  ///
  /// - Parameter document: the document as stored.
  /// - Throws: a `DocumentProblem` that names the invalid field.
  public init(reading document: BSONObject) throws(DocumentProblem) {
    sourceID = try document.lookupKey("source_id")
    displayName = try document.string("display_name")
    description = try document.string("description")
    enabled = try document.bool("enabled", default: true)
    ingestion = try Ingestion(reading: document.object("ingestion"))
    validation = try document.optionalObject("validation").map(Validation.init(reading:))
    transformation = try Transformation(reading: document.object("transformation"))
    storage = try Storage(reading: document.object("storage"))
    events = try document.optionalObject("events").map(Events.init(reading:))
  }
}

extension SourceConfigDocument.Ingestion {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    mode = try object.choice("mode")
    landingContainer = try object.optionalString("landing_container")
    // The container of a `scheduled_pull` source is not a key.
    if mode == .blobTrigger, let landingContainer { try object.checkKey(landingContainer, "landing_container") }
    filePattern = try object.optionalString("file_pattern")
    fileFormat = try object.optionalChoice("file_format")
    triggerMechanism = try object.optionalChoice("trigger_mechanism")
    processorType = try object.optionalString("processor_type")
    provider = try object.optionalString("provider")
    schedule = try object.optionalString("schedule")
    pathPattern = try object.optionalObject("path_pattern").map(SourceConfigDocument.Extraction.init(reading:))
    processedFileConfig =
      try object.optionalObject("processed_file_config").map(SourceConfigDocument.ProcessedFile.init(reading:))
    zipConfig = try object.optionalObject("zip_config").map(SourceConfigDocument.Zip.init(reading:))
    request = try object.optionalObject("request").map(SourceConfigDocument.Request.init(reading:))
    iteration = try object.optionalObject("iteration").map(SourceConfigDocument.Iteration.init(reading:))
    retry = try object.optionalObject("retry").map(SourceConfigDocument.Retry.init(reading:))
  }
}

extension SourceConfigDocument.Extraction {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    guard let pattern = PathPattern(try object.string("pattern")) else {
      throw object.problem("pattern", "uses a placeholder name twice")
    }
    self.pattern = pattern
    extractFields = try object.strings("extract_fields")
  }
}

extension SourceConfigDocument.ProcessedFile {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    action = try object.choice("action")
    archiveContainer = try object.optionalString("archive_container")
    archiveTTLDays = try object.optionalInt32("archive_ttl_days")
    processedFolder = try object.optionalString("processed_folder")
  }
}

extension SourceConfigDocument.Zip {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    manifestFile = try object.string("manifest_file")
    imagesFolder = try object.optionalString("images_folder")
    extractImages = try object.bool("extract_images", default: true)
    imageStorageContainer = try object.optionalString("image_storage_container")
  }
}

extension SourceConfigDocument.Request {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    baseURL = try object.string("base_url")
    authType = try object.choice("auth_type")
    authSecretKey = try object.optionalString("auth_secret_key")
    parameters = try object.stringMap("parameters")
    timeoutSeconds = try object.int32("timeout_seconds", default: 30)
  }
}

extension SourceConfigDocument.Iteration {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    foreach = try object.string("foreach")
    sourceMCP = try object.string("source_mcp")
    sourceTool = try object.string("source_tool")
    toolArgumentsJSON = try object.optionalJSON("tool_arguments")
    resultPath = try object.optionalString("result_path")
    injectLinkage = try object.optionalStrings("inject_linkage") ?? []
    concurrency = try object.int32("concurrency", default: 5)
  }
}

extension SourceConfigDocument.Retry {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    maxAttempts = try object.int32("max_attempts", default: 3)
    backoff = try object.choice("backoff", default: .exponential)
  }
}

extension SourceConfigDocument.Validation {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    schemaName = try object.string("schema_name")
    schemaVersion = try object.optionalInt32("schema_version")
    strict = try object.bool("strict", default: true)
  }
}

extension SourceConfigDocument.Transformation {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    // `agent` is the older name of the field.
    let older = try object.optionalString("agent")
    if let id = try object.optionalString("ai_agent_id") {
      try object.checkKey(id, "ai_agent_id")
      aiAgentID = id
    } else {
      if let older { try object.checkKey(older, "agent") }
      aiAgentID = older
    }
    extractFields = try object.strings("extract_fields")
    linkField = try object.string("link_field")
    fieldMappings = try object.stringMap("field_mappings")
  }
}

extension SourceConfigDocument.Storage {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    rawContainer = try object.string("raw_container")
    indexCollection = try object.string("index_collection")
    fileContainer = try object.optionalString("file_container")
    filePathPattern = try object.optionalString("file_path_pattern")
    ttlDays = try object.optionalInt32("ttl_days")
  }
}

extension SourceConfigDocument.Events {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    onSuccess = try object.optionalObject("on_success").map(SourceConfigDocument.Topic.init(reading:))
    onFailure = try object.optionalObject("on_failure").map(SourceConfigDocument.Topic.init(reading:))
  }
}

extension SourceConfigDocument.Topic {
  fileprivate init(reading object: BSONObject) throws(DocumentProblem) {
    topic = try object.string("topic")
    payloadFields = try object.optionalStrings("payload_fields") ?? []
  }
}
