// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ChangeStreamCache
internal import ConfigLookupRPC
internal import ConfigModels
internal import ProtobufMessages

/// The lookups of one value.
extension LookupService {
  func getAgentConfig(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try agentConfigRequest(request, state)
    let options = LookupOptions(message.options)
    let key = try checkedKey(message.agent_id, "agent_id")
    try requireFresh(view, options)
    let answer = caches[ServedEntity.agentConfig.rawValue].reader.answer(
      space: AgentConfigDocument.Space.agentID, key: key)
    if let wait = try waitIfNeeded(
      options, view, reached: answer?.revision, on: (AgentConfigDocument.Space.agentID, key), state)
    {
      return wait
    }
    guard let answer else {
      throw RPCStatus(.keyNotFound, "no active agent config for agent_id \(shown(key))")
    }
    fill(&reply, answer, options, view, state)
    return nil
  }

  func getPrompt(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try promptRequest(request, state)
    let options = LookupOptions(message.options)
    let key: UnsafeRawBufferPointer
    let (activeSpace, stagedSpace): (UInt8, UInt8)
    let field: String
    switch message.selector_case {
    case CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_AGENT_ID:
      field = "agent_id"
      key = try checkedKey(message.agent_id, field)
      (activeSpace, stagedSpace) = (PromptDocument.Space.agentID, PromptDocument.Space.stagedAgentID)
    case CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_PROMPT_ID:
      field = "prompt_id"
      key = try checkedKey(message.prompt_id, field)
      (activeSpace, stagedSpace) = (PromptDocument.Space.promptID, PromptDocument.Space.stagedPromptID)
    default:
      throw RPCStatus.invalid("selector", "set agent_id or prompt_id", reason: .selectorMissing)
    }
    try requireFresh(view, options)
    let (answer, isStaged, testID) = try state.withAnswers(.prompt) { answers throws(RPCStatus) in
      try self.prompt(answers, message, key, active: activeSpace, staged: stagedSpace)
    }
    let isTest = message.variant == CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_AB_TEST
    let reached = isTest ? nil : answer?.revision
    let waitsOnKey = isTest ? nil : (space: isStaged ? stagedSpace : activeSpace, bytes: key)
    if let wait = try waitIfNeeded(options, view, reached: reached, on: waitsOnKey, state) { return wait }
    guard let answer else {
      throw RPCStatus(.keyNotFound, "no \(isStaged ? "staged" : "active") prompt for \(field) \(shown(key))")
    }
    let variant =
      isStaged
      ? CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_STAGED
      : CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_ACTIVE
    ProtobufWriter.unsigned(3, UInt64(variant.rawValue), to: &reply.head)
    if let testID { ProtobufWriter.string(4, testID, to: &reply.head) }
    for name in answer.otherNames { ProtobufWriter.bytes(5, name, to: &reply.head) }
    fill(&reply, answer, options, view, state)
    return nil
  }

  /// Returns the prompt of the requested variant. For an A/B test, both variants are read as of one moment.
  private func prompt(
    _ answers: AnswerReader, _ message: Configlookup__V1__GetPromptRequest, _ key: UnsafeRawBufferPointer,
    active: UInt8, staged: UInt8
  ) throws(RPCStatus) -> (CachedAnswer?, isStaged: Bool, testID: String?) {
    switch message.variant.rawValue {
    case 0, CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_ACTIVE.rawValue:
      return (answers.answer(space: active, key: key), false, nil)
    case CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_STAGED.rawValue:
      return (answers.answer(space: staged, key: key), true, nil)
    case CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_AB_TEST.rawValue:
      let subject = String(decoding: try checkedKey(message.subject, "subject"), as: UTF8.self)
      guard let answer = answers.answer(space: staged, key: key),
        let cachedValue = (answer.entry as? ModelEntry<PromptDocument.CachedValue>)?.cachedValue,
        cachedValue.abTest.enabled
      else { return (answers.answer(space: active, key: key), false, nil) }
      let testID = cachedValue.abTest.name(promptID: cachedValue.id)
      if cachedValue.abTest.servesStaged(to: subject, promptID: cachedValue.id) { return (answer, true, testID) }
      return (answers.answer(space: active, key: key), false, testID)
    default:
      throw RPCStatus.invalid("variant", "\(message.variant.rawValue) is not one of ACTIVE, STAGED, AB_TEST")
    }
  }

  func getSourceConfig(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try sourceConfigRequest(request, state)
    let options = LookupOptions(message.options)
    let key: UnsafeRawBufferPointer
    let (space, field): (UInt8, String)
    switch message.selector_case {
    case CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_SOURCE_ID:
      (space, field) = (SourceConfigDocument.Space.sourceID, "source_id")
      key = try checkedKey(message.source_id, field)
    case CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_CONTAINER:
      (space, field) = (SourceConfigDocument.Space.container, "container")
      key = try checkedKey(message.container, field)
    case CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_AI_AGENT_ID:
      (space, field) = (SourceConfigDocument.Space.aiAgentID, "ai_agent_id")
      key = try checkedKey(message.ai_agent_id, field)
    default:
      throw RPCStatus.invalid("selector", "set source_id, container or ai_agent_id", reason: .selectorMissing)
    }
    try requireFresh(view, options)
    let answer = view.reader.answer(space: space, key: key)
    let reached = space == SourceConfigDocument.Space.sourceID ? answer?.revision : nil
    let waitsOnKey = space == SourceConfigDocument.Space.sourceID ? (space: space, bytes: key) : nil
    if let wait = try waitIfNeeded(options, view, reached: reached, on: waitsOnKey, state) { return wait }
    guard let answer else {
      throw RPCStatus(.keyNotFound, "no enabled source config for \(field) \(shown(key))")
    }
    for name in answer.otherNames { ProtobufWriter.bytes(3, name, to: &reply.head) }
    fill(&reply, answer, options, view, state)
    return nil
  }

  // MARK: The fast path

  func plainAgentConfig(_ state: WorkerState) -> PlainLookup {
    PlainLookup(self, state, .agentConfig, spaces: [nil, AgentConfigDocument.Space.agentID])
  }

  func plainPrompt(_ state: WorkerState) -> PlainLookup {
    let variant = CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_ACTIVE
    var lead: [UInt8] = []
    ProtobufWriter.unsigned(3, UInt64(variant.rawValue), to: &lead)
    return PlainLookup(
      self, state, .prompt, spaces: [nil, PromptDocument.Space.agentID, PromptDocument.Space.promptID], lead: lead)
  }

  func plainSourceConfig(_ state: WorkerState) -> PlainLookup {
    PlainLookup(self, state, .sourceConfig, spaces: [nil, SourceConfigDocument.Space.sourceID])
  }

  // MARK: Requests

  private func agentConfigRequest(
    _ request: borrowing RPCRequest, _ state: WorkerState
  ) throws(RPCStatus) -> Configlookup__V1__GetAgentConfigRequest {
    guard let sole = SoleField(request.message), sole.number == 1 else {
      return try unpack(request, state, configlookup__v1__get_agent_config_request__unpack).pointee
    }
    var message = Configlookup__V1__GetAgentConfigRequest()
    message.agent_id = sole.text
    return message
  }

  private func promptRequest(
    _ request: borrowing RPCRequest, _ state: WorkerState
  ) throws(RPCStatus) -> Configlookup__V1__GetPromptRequest {
    guard let sole = SoleField(request.message), sole.number == 1 || sole.number == 2 else {
      return try unpack(request, state, configlookup__v1__get_prompt_request__unpack).pointee
    }
    var message = Configlookup__V1__GetPromptRequest()
    message.selector_case = .init(rawValue: UInt32(sole.number))
    if sole.number == 1 { message.agent_id = sole.text } else { message.prompt_id = sole.text }
    return message
  }

  private func sourceConfigRequest(
    _ request: borrowing RPCRequest, _ state: WorkerState
  ) throws(RPCStatus) -> Configlookup__V1__GetSourceConfigRequest {
    guard let sole = SoleField(request.message), (1...3).contains(sole.number) else {
      return try unpack(request, state, configlookup__v1__get_source_config_request__unpack).pointee
    }
    var message = Configlookup__V1__GetSourceConfigRequest()
    message.selector_case = .init(rawValue: UInt32(sole.number))
    switch sole.number {
    case 1: message.source_id = sole.text
    case 2: message.container = sole.text
    default: message.ai_agent_id = sole.text
    }
    return message
  }

  func resolveBlob(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try unpack(request, state, configlookup__v1__resolve_blob_request__unpack).pointee
    let options = LookupOptions(message.options)
    let container = try checkedKey(message.container, "container")
    let path = try checkedKey(message.path, "path", limit: maximumPathBytes)
    try requireFresh(view, options)
    if let wait = try waitIfNeeded(options, view, reached: nil, state) { return wait }

    let answer = view.reader.answer(space: SourceConfigDocument.Space.container, key: container)
    guard let answer, let best = (answer.index as? BlobIndex)?.source(of: path) else {
      throw RPCStatus(
        .keyNotFound, "no enabled source config for a blob \(shown(path)) in container \(shown(container))")
    }
    for pair in best.cachedValue.fields(of: path) {
      ProtobufWriter.message(3, to: &reply.head) { out in
        ProtobufWriter.string(1, pair.key, to: &out)
        ProtobufWriter.string(2, pair.value, to: &out)
      }
    }
    fill(&reply, answer, member: best.entry, options, view, state)
    return nil
  }
}
