// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import NearCache
internal import ProtobufMessages

extension ConfigLookupClient {
  /// Looks up the agent config in force.
  ///
  /// - Parameter agentID: the `agent_id`.
  /// - Returns: the answer. Its value is nil if no agent config is in force; that is not an error.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func agentConfig(_ agentID: String) async throws -> Answer<AgentConfig> {
    try await cachedValue(
      LookupCall(.agentConfig, "GetAgentConfig", configlookup__v1__get_agent_config_response__unpack) {
        options, arena in
        ProtobufArena.pack(
          arena.make(configlookup__v1__get_agent_config_request__init) {
            $0.agent_id = arena.bytes(agentID)
            $0.options = options
          })
      } read: {
        ($0.config.map { AgentConfig($0.pointee) }, $0.metadata)
      }, Keys.agentConfig(agentID))
  }

  /// Looks up a prompt of an agent, by the agent's id.
  ///
  /// - Parameters:
  ///   - agentID: the `agent_id`.
  ///   - variant: the active or the staged version. The staged one is never replaced by the active one.
  /// - Returns: the answer. Its value is nil if the agent has no such prompt.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func prompt(agentID: String, _ variant: PromptVariant = .active) async throws -> Answer<Prompt> {
    try await cachedValue(promptLookup(.agent(agentID), variant), Keys.prompt(agentID, variant))
  }

  /// Looks up a prompt by its own id.
  ///
  /// - Parameters:
  ///   - promptID: the `prompt_id`.
  ///   - variant: the active or the staged version.
  /// - Returns: the answer. Its value is nil if there is no such prompt.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func prompt(promptID: String, _ variant: PromptVariant = .active) async throws -> Answer<Prompt> {
    try await cachedValue(promptLookup(.prompt(promptID), variant), Keys.promptByID(promptID, variant))
  }

  /// Looks up the prompt of an agent for a subject, as the agent's A/B test decides: the staged version for the test's
  /// share of the subjects, the active one otherwise. The same subject always gets the same version. This lookup does
  /// not use the near cache.
  ///
  /// - Parameters:
  ///   - agentID: the `agent_id`.
  ///   - subject: the id of a user, of a session, or of whatever the test splits; not empty.
  /// - Returns: the chosen prompt. The value is nil if the agent has none.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
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

  /// Looks up a source config by its id.
  ///
  /// - Parameter sourceID: the `source_id`.
  /// - Returns: the answer. Its value is nil if there is no such source config, or if it is disabled.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func sourceConfig(_ sourceID: String) async throws -> Answer<SourceConfig> {
    try await cachedValue(
      sourceLookup(.source(sourceID)) { $0.config.map { SourceConfig($0.pointee) } }, Keys.sourceConfig(sourceID))
  }

  /// Looks up the source config whose blobs land in a container. If there are several, the one with the lowest
  /// `source_id` is returned.
  ///
  /// - Parameter container: the name of the landing container.
  /// - Returns: the source config and the ids of the others. The value is nil if there is none.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func sourceConfig(container: String) async throws -> Answer<MatchedSource> {
    try await cachedValue(sourceLookup(.container(container), read: matched), Keys.container(container))
  }

  /// Looks up the source config that uses an AI agent. If there are several, the one with the lowest `source_id` is
  /// returned.
  ///
  /// - Parameter aiAgentID: the `ai_agent_id`.
  /// - Returns: the source config and the ids of the others. The value is nil if there is none.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func sourceConfig(aiAgentID: String) async throws -> Answer<MatchedSource> {
    try await cachedValue(sourceLookup(.aiAgent(aiAgentID), read: matched), Keys.aiAgent(aiAgentID))
  }

  /// Looks up the source config to which a blob belongs, and the fields of the blob's path.
  ///
  /// - Parameters:
  ///   - container: the name of the landing container.
  ///   - path: the path of the blob in the container.
  /// - Returns: the source config and the fields. The value is nil if no source matches.
  /// - Throws: ``ConfigLookupError``; `CancellationError`.
  public func resolveBlob(container: String, path: String) async throws -> Answer<ResolvedBlob> {
    try await cachedValue(
      LookupCall(.sourceConfig, "ResolveBlob", configlookup__v1__resolve_blob_response__unpack) { options, arena in
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
  ) -> LookupCall<Configlookup__V1__GetPromptResponse, Prompt> {
    promptLookup(selector, variant, subject: "") { $0.prompt.map { Prompt($0.pointee) } }
  }

  /// - Parameter variant: nil for the A/B test's decision.
  private func promptLookup<Value>(
    _ selector: PromptSelector, _ variant: PromptVariant?, subject: String,
    read: @escaping @Sendable (Configlookup__V1__GetPromptResponse) -> Value?
  ) -> LookupCall<Configlookup__V1__GetPromptResponse, Value> {
    LookupCall(.prompt, "GetPrompt", configlookup__v1__get_prompt_response__unpack) { options, arena in
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
  ) -> LookupCall<Configlookup__V1__GetSourceConfigResponse, Value> {
    LookupCall(.sourceConfig, "GetSourceConfig", configlookup__v1__get_source_config_response__unpack) {
      options, arena in
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
