// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ProtobufMessages

extension AgentConfigDocument {
  /// Encodes the message `configlookup.v1.AgentConfig`.
  ///
  /// - Returns: the encoded bytes.
  public func encoded() -> [UInt8]? {
    let arena = ProtobufArena()
    return withExtendedLifetime(arena) { ProtobufArena.pack(message(in: arena)) }
  }

  private func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__AgentConfig> {
    arena.make(configlookup__v1__agent_config__init) {
      $0.id = arena.bytes(id)
      $0.agent_id = arena.bytes(agentID)
      $0.version = arena.bytes(version.text)
      $0.type = arena.bytes(kind.type.rawValue)
      $0.status = arena.bytes(status.rawValue)
      $0.description = arena.bytes(description)
      $0.input = input.message(in: arena)
      $0.output = output.message(in: arena)
      $0.llm = llm?.message(in: arena)
      $0.n_mcp_sources = mcpSources.count
      $0.mcp_sources = arena.pointers(mcpSources.map { $0.message(in: arena) })
      $0.error_handling = errorHandling.message(in: arena)
      $0.metadata = metadata.message(in: arena)
      kind.set(in: &$0, arena)
    }
  }
}

extension AgentConfigDocument.Kind {
  fileprivate func set(in message: inout Configlookup__V1__AgentConfig, _ arena: ProtobufArena) {
    switch self {
    case .extractor(let extractor):
      message.type_config_case = CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_EXTRACTOR
      message.extractor = arena.make(configlookup__v1__extractor_config__init) {
        $0.extraction_schema_json = arena.bytes(extractor.extractionSchemaJSON)
        $0.normalization_rules_json = arena.bytes(extractor.normalizationRulesJSON)
      }
    case .explorer(let rag):
      message.type_config_case = CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_EXPLORER
      message.explorer = arena.make(configlookup__v1__explorer_config__init) {
        $0.rag = rag.message(in: arena)
      }
    case .generator(let generator):
      message.type_config_case = CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_GENERATOR
      message.generator = arena.make(configlookup__v1__generator_config__init) {
        $0.rag = generator.rag.message(in: arena)
        $0.output_format = arena.bytes(generator.outputFormat.rawValue)
      }
    case .conversational(let conversational):
      message.type_config_case = CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_CONVERSATIONAL
      message.conversational = arena.make(configlookup__v1__conversational_config__init) {
        $0.rag = conversational.rag.message(in: arena)
        $0.state = conversational.state.message(in: arena)
        $0.intent_model = arena.bytes(conversational.intentModel)
        $0.response_model = arena.bytes(conversational.responseModel)
      }
    case .tieredVision(let vision):
      message.type_config_case = CONFIGLOOKUP__V1__AGENT_CONFIG__TYPE_CONFIG_TIERED_VISION
      message.tiered_vision = arena.make(configlookup__v1__tiered_vision_config__init) {
        $0.rag = vision.rag.message(in: arena)
        $0.tiered_llm = arena.make(configlookup__v1__tiered_language_models__init) {
          $0.screen = vision.screen.message(in: arena)
          $0.diagnose = vision.diagnose.message(in: arena)
        }
        $0.routing = vision.routing.message(in: arena)
      }
    }
  }
}

extension AgentConfigDocument.Event {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__AgentEvent> {
    arena.make(configlookup__v1__agent_event__init) {
      $0.event = arena.bytes(event)
      $0.schema_json = arena.bytes(schemaJSON)
    }
  }
}

extension AgentConfigDocument.LanguageModel {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__LanguageModel> {
    arena.make(configlookup__v1__language_model__init) {
      $0.model = arena.bytes(model)
      $0.temperature = temperature
      $0.max_tokens = maxTokens
    }
  }
}

extension AgentConfigDocument.MCPSource {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__McpSource> {
    arena.make(configlookup__v1__mcp_source__init) {
      $0.server = arena.bytes(server)
      $0.n_tools = tools.count
      $0.tools = arena.texts(tools)
    }
  }
}

extension AgentConfigDocument.ErrorHandling {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__ErrorHandling> {
    arena.make(configlookup__v1__error_handling__init) {
      $0.max_attempts = maxAttempts
      $0.n_backoff_ms = backoffMilliseconds.count
      $0.backoff_ms = arena.values(backoffMilliseconds)
      $0.on_failure = arena.bytes(onFailure.rawValue)
      $0.dead_letter_topic = arena.bytes(deadLetterTopic)
    }
  }
}

extension AgentConfigDocument.Metadata {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__AgentMetadata> {
    arena.make(configlookup__v1__agent_metadata__init) {
      $0.author = arena.bytes(author)
      $0.created_at = arena.timestamp(createdAt)
      $0.updated_at = arena.timestamp(updatedAt)
      $0.git_commit = arena.bytes(gitCommit)
    }
  }
}

extension AgentConfigDocument.RAG {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__RagConfig> {
    arena.make(configlookup__v1__rag_config__init) {
      $0.enabled = enabled ? 1 : 0
      $0.query_template = arena.bytes(queryTemplate)
      $0.n_knowledge_domains = knowledgeDomains.count
      $0.knowledge_domains = arena.texts(knowledgeDomains)
      $0.top_k = topK
      $0.min_similarity = minSimilarity
    }
  }
}

extension AgentConfigDocument.ConversationState {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__ConversationState> {
    arena.make(configlookup__v1__conversation_state__init) {
      $0.max_turns = maxTurns
      $0.session_ttl_minutes = sessionTTLMinutes
      $0.checkpoint_backend = arena.bytes(checkpointBackend)
      $0.context_window = contextWindow
    }
  }
}

extension AgentConfigDocument.Routing {
  fileprivate func message(in arena: ProtobufArena) -> UnsafeMutablePointer<Configlookup__V1__TieredRouting> {
    arena.make(configlookup__v1__tiered_routing__init) {
      $0.screen_threshold = screenThreshold
      $0.healthy_skip_threshold = healthySkipThreshold
      $0.obvious_skip_threshold = obviousSkipThreshold
    }
  }
}
