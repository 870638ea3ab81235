internal import CConfigLookupProto
internal import ChangeStreamCache
internal import ConfigModels
internal import ProtobufMessages
internal import RPC

/// The lookups of one value.
extension LookupService {
  func getAgentConfig(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try agentConfigRequest(request, state)
    let options = LookupOptions(message.options)
    let key = try checkedKey(message.agent_id, "agent_id")
    try requireFresh(view, options)
    let answer = caches[ServedEntity.agentConfig.rawValue].reader.answer(space: AgentConfig.Space.agentID, key: key)
    if let wait = try waitIfNeeded(options, view, reached: answer?.revision, state) { return wait }
    guard let answer else {
      throw RPCStatus(.notFound, "no active agent config for agent_id \(shown(key))")
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
      (activeSpace, stagedSpace) = (Prompt.Space.agentID, Prompt.Space.stagedAgentID)
    case CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_PROMPT_ID:
      field = "prompt_id"
      key = try checkedKey(message.prompt_id, field)
      (activeSpace, stagedSpace) = (Prompt.Space.promptID, Prompt.Space.stagedPromptID)
    default:
      throw RPCStatus.invalid("selector", "give agent_id or prompt_id")
    }
    let reader = caches[ServedEntity.prompt.rawValue].reader
    try requireFresh(view, options)

    var answer: Answer?
    var testID: String?
    var isStaged = false
    switch message.variant.rawValue {
    case 0, CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_ACTIVE.rawValue:
      answer = reader.answer(space: activeSpace, key: key)
    case CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_STAGED.rawValue:
      isStaged = true
      answer = reader.answer(space: stagedSpace, key: key)
    case CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_AB_TEST.rawValue:
      let subject = String(decoding: try checkedKey(message.subject, "subject"), as: UTF8.self)
      if let staged = reader.answer(space: stagedSpace, key: key),
        let kept = (staged.entry as? ModelEntry<Prompt.Kept>)?.kept, kept.abTest.enabled
      {
        testID = kept.abTest.name(promptID: kept.id)
        if kept.abTest.servesStaged(to: subject, promptID: kept.id) {
          isStaged = true
          answer = staged
        }
      }
      if !isStaged { answer = reader.answer(space: activeSpace, key: key) }
    default:
      throw RPCStatus.invalid("variant", "\(message.variant.rawValue) is none of ACTIVE, STAGED, AB_TEST")
    }
    let isTest = message.variant == CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_AB_TEST
    let reached = isTest ? nil : answer?.revision
    if let wait = try waitIfNeeded(options, view, reached: reached, state) { return wait }
    guard let answer else {
      throw RPCStatus(.notFound, "no \(isStaged ? "staged" : "active") prompt for \(field) \(shown(key))")
    }
    let variant =
      isStaged
      ? CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_STAGED
      : CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_ACTIVE
    ProtobufWriter.unsigned(3, UInt64(variant.rawValue), to: &reply.head)
    if let testID { ProtobufWriter.string(4, testID, to: &reply.head) }
    fill(&reply, answer, options, view, state)
    return nil
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
      (space, field) = (SourceConfig.Space.sourceID, "source_id")
      key = try checkedKey(message.source_id, field)
    case CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_CONTAINER:
      (space, field) = (SourceConfig.Space.container, "container")
      key = try checkedKey(message.container, field)
    case CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_AI_AGENT_ID:
      (space, field) = (SourceConfig.Space.aiAgentID, "ai_agent_id")
      key = try checkedKey(message.ai_agent_id, field)
    default:
      throw RPCStatus.invalid("selector", "give source_id, container or ai_agent_id")
    }
    try requireFresh(view, options)
    let matches = sources(space, key)
    let reached = space == SourceConfig.Space.sourceID ? matches.first?.revision : nil
    if let wait = try waitIfNeeded(options, view, reached: reached, state) { return wait }
    guard let first = matches.first else {
      throw RPCStatus(.notFound, "no enabled source config for \(field) \(shown(key))")
    }
    for other in matches.dropFirst() { ProtobufWriter.bytes(3, other.key.bytes, to: &reply.head) }
    fill(&reply, first, options, view, state)
    return nil
  }

  // MARK: Plain lookups

  func plainAgentConfig(_ state: WorkerState) -> PlainLookup {
    PlainLookup(self, state, .agentConfig, spaces: [nil, AgentConfig.Space.agentID])
  }

  func plainPrompt(_ state: WorkerState) -> PlainLookup {
    let variant = CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_ACTIVE
    var lead: [UInt8] = []
    ProtobufWriter.unsigned(3, UInt64(variant.rawValue), to: &lead)
    return PlainLookup(self, state, .prompt, spaces: [nil, Prompt.Space.agentID, Prompt.Space.promptID], lead: lead)
  }

  func plainSourceConfig(_ state: WorkerState) -> PlainLookup {
    PlainLookup(self, state, .sourceConfig, spaces: [nil, SourceConfig.Space.sourceID])
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

    // In order of source_id: among equals the first one stays.
    var best: (answer: Answer, kept: SourceConfig.Kept)?
    for answer in sources(SourceConfig.Space.container, container) {
      guard let kept = (answer.entry as? ModelEntry<SourceConfig.Kept>)?.kept, kept.matches(path: path) else {
        continue
      }
      if let best, best.kept.literalCount >= kept.literalCount { continue }
      best = (answer, kept)
    }
    guard let best else {
      throw RPCStatus(.notFound, "no enabled source config for a blob \(shown(path)) in container \(shown(container))")
    }
    for pair in best.kept.fields(of: path) {
      ProtobufWriter.message(3, to: &reply.head) { out in
        ProtobufWriter.string(1, pair.key, to: &out)
        ProtobufWriter.string(2, pair.value, to: &out)
      }
    }
    fill(&reply, best.answer, options, view, state)
    return nil
  }

  /// The sources under a key, in order of source_id. A document that loses its own source_id to another does not count.
  private func sources(_ space: UInt8, _ key: UnsafeRawBufferPointer) -> [Answer] {
    let reader = caches[ServedEntity.sourceConfig.rawValue].reader
    var answer = reader.answer(space: space, key: key)
    if space == SourceConfig.Space.sourceID { return answer.map { [$0] } ?? [] }
    // Two looks, at the alias and at the source_id: if a change came in between, they are taken again. Changes without
    // end would be no reason to look without end.
    for _ in 0..<100 {
      guard let before = answer else { return [] }
      let matches = sources(under: before, reader)
      answer = reader.answer(space: space, key: key)
      if answer === before { return matches }
    }
    return answer.map { sources(under: $0, reader) } ?? []
  }

  private func sources(under alias: Answer, _ reader: CacheReader) -> [Answer] {
    // By `_id`: the source_id may answer a newer version of the document already.
    ([alias.entry] + alias.others)
      .compactMap { entry in
        guard let answer = reader.answer(entry.key), answer.entry.id == entry.id,
          answer.entry.keys.contains(alias.key)
        else { return nil }
        return answer
      }
      .sorted { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
  }
}
