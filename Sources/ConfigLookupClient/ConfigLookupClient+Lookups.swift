internal import CConfigLookupProto
internal import Core
internal import NearCache
internal import ProtobufMessages

extension ConfigLookupClient {
  /// The agent config in force. Throws ``ConfigLookupError``, or `CancellationError`; that there is none is an answer.
  public func agentConfig(_ agentID: String) async throws -> Answer<AgentConfig> {
    try await kept(
      Lookup(.agentConfig, "GetAgentConfig", configlookup__v1__get_agent_config_response__unpack) { options, arena in
        ProtobufArena.pack(
          arena.make(configlookup__v1__get_agent_config_request__init) {
            $0.agent_id = arena.bytes(agentID)
            $0.options = options
          })
      } read: {
        ($0.config.map { AgentConfig($0.pointee) }, $0.metadata)
      }, Keys.agentConfig(agentID))
  }

  /// The prompt of an agent: the active one, or the staged one, which may be none.
  public func prompt(agentID: String, _ variant: PromptVariant = .active) async throws -> Answer<Prompt> {
    try await kept(promptLookup(.agent(agentID), variant), Keys.prompt(agentID, variant))
  }

  /// The prompt of this id.
  public func prompt(promptID: String, _ variant: PromptVariant = .active) async throws -> Answer<Prompt> {
    try await kept(promptLookup(.prompt(promptID), variant), Keys.promptByID(promptID, variant))
  }

  /// The prompt of an agent for a subject: the staged one for the share of subjects that its test asks for. Always asks
  /// a server.
  public func prompt(agentID: String, subject: String) async throws -> Answer<ChosenPrompt> {
    try await ask(
      promptLookup(.agent(agentID), nil, subject: subject) { message in
        message.prompt.map {
          ChosenPrompt(
            prompt: Prompt($0.pointee),
            isStaged: message.variant == CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_STAGED,
            testID: message.test_id.string)
        }
      }
    ).answer
  }

  /// The source config of this id.
  public func sourceConfig(_ sourceID: String) async throws -> Answer<SourceConfig> {
    try await kept(
      sourceLookup(.source(sourceID)) { $0.config.map { SourceConfig($0.pointee) } }, Keys.sourceConfig(sourceID))
  }

  /// The source whose blobs land in a container; of several, the one with the lowest id.
  public func sourceConfig(container: String) async throws -> Answer<MatchedSource> {
    try await kept(sourceLookup(.container(container), read: matched), Keys.container(container))
  }

  /// The source that an agent works for; of several, the one with the lowest id.
  public func sourceConfig(aiAgentID: String) async throws -> Answer<MatchedSource> {
    try await kept(sourceLookup(.aiAgent(aiAgentID), read: matched), Keys.aiAgent(aiAgentID))
  }

  /// The source that a blob belongs to, and what its path says.
  public func resolveBlob(container: String, path: String) async throws -> Answer<ResolvedBlob> {
    try await kept(
      Lookup(.sourceConfig, "ResolveBlob", configlookup__v1__resolve_blob_response__unpack) { options, arena in
        ProtobufArena.pack(
          arena.make(configlookup__v1__resolve_blob_request__init) {
            $0.container = arena.bytes(container)
            $0.path = arena.bytes(path)
            $0.options = options
          })
      } read: { message in
        let fields = messages(message.n_fields, message.fields) { ($0.key.string, $0.value.string) }
        let blob = message.config.map {
          ResolvedBlob(config: SourceConfig($0.pointee), fields: Dictionary(fields) { $1 })
        }
        return (blob, message.metadata)
      }, Keys.blob(container, path))
  }

  // MARK: Requests

  private enum PromptSelector { case agent(String), prompt(String) }
  private enum SourceSelector { case source(String), container(String), aiAgent(String) }

  private func promptLookup(
    _ selector: PromptSelector, _ variant: PromptVariant
  ) -> Lookup<Configlookup__V1__GetPromptResponse, Prompt> {
    promptLookup(selector, variant, subject: "") { $0.prompt.map { Prompt($0.pointee) } }
  }

  /// - Parameter variant: nil for AB_TEST.
  private func promptLookup<Value>(
    _ selector: PromptSelector, _ variant: PromptVariant?, subject: String,
    read: @escaping @Sendable (Configlookup__V1__GetPromptResponse) -> Value?
  ) -> Lookup<Configlookup__V1__GetPromptResponse, Value> {
    Lookup(.prompt, "GetPrompt", configlookup__v1__get_prompt_response__unpack) { options, arena in
      ProtobufArena.pack(
        arena.make(configlookup__v1__get_prompt_request__init) { request in
          switch selector {
          case .agent(let id):
            request.selector_case = CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_AGENT_ID
            request.agent_id = arena.bytes(id)
          case .prompt(let id):
            request.selector_case = CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_PROMPT_ID
            request.prompt_id = arena.bytes(id)
          }
          request.variant =
            variant.map { Configlookup__V1__PromptVariant(rawValue: $0.rawValue) }
            ?? CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_AB_TEST
          request.subject = arena.bytes(subject)
          request.options = options
        })
    } read: {
      (read($0), $0.metadata)
    }
  }

  private func sourceLookup<Value>(
    _ selector: SourceSelector, read: @escaping @Sendable (Configlookup__V1__GetSourceConfigResponse) -> Value?
  ) -> Lookup<Configlookup__V1__GetSourceConfigResponse, Value> {
    Lookup(.sourceConfig, "GetSourceConfig", configlookup__v1__get_source_config_response__unpack) { options, arena in
      ProtobufArena.pack(
        arena.make(configlookup__v1__get_source_config_request__init) { request in
          switch selector {
          case .source(let id):
            request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_SOURCE_ID
            request.source_id = arena.bytes(id)
          case .container(let name):
            request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_CONTAINER
            request.container = arena.bytes(name)
          case .aiAgent(let id):
            request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_AI_AGENT_ID
            request.ai_agent_id = arena.bytes(id)
          }
          request.options = options
        })
    } read: {
      (read($0), $0.metadata)
    }
  }
}

@Sendable private func matched(_ message: Configlookup__V1__GetSourceConfigResponse) -> MatchedSource? {
  message.config.map {
    MatchedSource(
      config: SourceConfig($0.pointee), otherSourceIDs: strings(message.n_other_source_ids, message.other_source_ids))
  }
}
