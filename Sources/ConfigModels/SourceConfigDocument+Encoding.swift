// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ProtobufMessages

extension SourceConfigDocument {
  /// Encodes the message `configlookup.v1.SourceConfig`.
  ///
  /// - Returns: the encoded bytes.
  public func encoded() -> [UInt8]? {
    let arena = ProtobufArena()
    return withExtendedLifetime(arena) { ProtobufArena.pack(message(in: arena)) }
  }

  private func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__SourceConfig> {
    arena.make(configlookup__v1__source_config__init) {
      $0.source_id = arena.bytes(sourceID)
      $0.display_name = arena.bytes(displayName)
      $0.description = arena.bytes(description)
      $0.enabled = enabled ? 1 : 0
      $0.ingestion = ingestion.message(in: arena)
      $0.validation = validation?.message(in: arena)
      $0.transformation = transformation.message(in: arena)
      $0.storage = storage.message(in: arena)
      $0.events = events?.message(in: arena)
    }
  }
}

extension SourceConfigDocument.Ingestion {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__Ingestion> {
    arena.make(configlookup__v1__ingestion__init) {
      $0.mode = arena.bytes(mode.rawValue)
      $0.landing_container = arena.bytes(landingContainer)
      $0.file_pattern = arena.bytes(filePattern)
      $0.file_format = arena.bytes(fileFormat?.rawValue)
      $0.trigger_mechanism = arena.bytes(triggerMechanism?.rawValue)
      $0.processor_type = arena.bytes(processorType)
      $0.provider = arena.bytes(provider)
      $0.schedule = arena.bytes(schedule)
      $0.path_pattern = pathPattern?.message(in: arena)
      $0.processed_file_config = processedFileConfig?.message(in: arena)
      $0.zip_config = zipConfig?.message(in: arena)
      $0.request = request?.message(in: arena)
      $0.iteration = iteration?.message(in: arena)
      $0.retry = retry?.message(in: arena)
    }
  }
}

extension SourceConfigDocument.Extraction {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__PathPattern> {
    arena.make(configlookup__v1__path_pattern__init) {
      $0.pattern = arena.bytes(pattern.text)
      $0.n_extract_fields = extractFields.count
      $0.extract_fields = arena.texts(extractFields)
    }
  }
}

extension SourceConfigDocument.ProcessedFile {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__ProcessedFileConfig> {
    arena.make(configlookup__v1__processed_file_config__init) {
      $0.action = arena.bytes(action.rawValue)
      $0.archive_container = arena.bytes(archiveContainer)
      if let archiveTTLDays {
        $0.archive_ttl_days_present_case =
          CONFIGLOOKUP__V1__PROCESSED_FILE_CONFIG__ARCHIVE_TTL_DAYS_PRESENT_ARCHIVE_TTL_DAYS
        $0.archive_ttl_days = archiveTTLDays
      }
      $0.processed_folder = arena.bytes(processedFolder)
    }
  }
}

extension SourceConfigDocument.Zip {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__ZipConfig> {
    arena.make(configlookup__v1__zip_config__init) {
      $0.manifest_file = arena.bytes(manifestFile)
      $0.images_folder = arena.bytes(imagesFolder)
      $0.extract_images = extractImages ? 1 : 0
      $0.image_storage_container = arena.bytes(imageStorageContainer)
    }
  }
}

extension SourceConfigDocument.Request {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__RequestConfig> {
    arena.make(configlookup__v1__request_config__init) {
      $0.base_url = arena.bytes(baseURL)
      $0.auth_type = arena.bytes(authType.rawValue)
      $0.auth_secret_key = arena.bytes(authSecretKey)
      $0.n_parameters = parameters.count
      $0.parameters = arena.map(parameters)
      $0.timeout_seconds = timeoutSeconds
    }
  }
}

extension SourceConfigDocument.Iteration {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__IterationConfig> {
    arena.make(configlookup__v1__iteration_config__init) {
      $0.foreach = arena.bytes(foreach)
      $0.source_mcp = arena.bytes(sourceMCP)
      $0.source_tool = arena.bytes(sourceTool)
      $0.tool_arguments_json = arena.bytes(toolArgumentsJSON)
      $0.result_path = arena.bytes(resultPath)
      $0.n_inject_linkage = injectLinkage.count
      $0.inject_linkage = arena.texts(injectLinkage)
      $0.concurrency = concurrency
    }
  }
}

extension SourceConfigDocument.Retry {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__RetryConfig> {
    arena.make(configlookup__v1__retry_config__init) {
      $0.max_attempts = maxAttempts
      $0.backoff = arena.bytes(backoff.rawValue)
    }
  }
}

extension SourceConfigDocument.Validation {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__Validation> {
    arena.make(configlookup__v1__validation__init) {
      $0.schema_name = arena.bytes(schemaName)
      if let schemaVersion {
        $0.schema_version_present_case = CONFIGLOOKUP__V1__VALIDATION__SCHEMA_VERSION_PRESENT_SCHEMA_VERSION
        $0.schema_version = schemaVersion
      }
      $0.strict = strict ? 1 : 0
    }
  }
}

extension SourceConfigDocument.Transformation {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__Transformation> {
    arena.make(configlookup__v1__transformation__init) {
      $0.ai_agent_id = arena.bytes(aiAgentID)
      $0.n_extract_fields = extractFields.count
      $0.extract_fields = arena.texts(extractFields)
      $0.link_field = arena.bytes(linkField)
      $0.n_field_mappings = fieldMappings.count
      $0.field_mappings = arena.map(fieldMappings)
    }
  }
}

extension SourceConfigDocument.Storage {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__Storage> {
    arena.make(configlookup__v1__storage__init) {
      $0.raw_container = arena.bytes(rawContainer)
      $0.index_collection = arena.bytes(indexCollection)
      $0.file_container = arena.bytes(fileContainer)
      $0.file_path_pattern = arena.bytes(filePathPattern)
      if let ttlDays {
        $0.ttl_days_present_case = CONFIGLOOKUP__V1__STORAGE__TTL_DAYS_PRESENT_TTL_DAYS
        $0.ttl_days = ttlDays
      }
    }
  }
}

extension SourceConfigDocument.Events {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__SourceEvents> {
    arena.make(configlookup__v1__source_events__init) {
      $0.on_success = onSuccess?.message(in: arena)
      $0.on_failure = onFailure?.message(in: arena)
    }
  }
}

extension SourceConfigDocument.Topic {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__EventTopic> {
    arena.make(configlookup__v1__event_topic__init) {
      $0.topic = arena.bytes(topic)
      $0.n_payload_fields = payloadFields.count
      $0.payload_fields = arena.texts(payloadFields)
    }
  }
}
