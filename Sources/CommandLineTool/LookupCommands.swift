// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ProtobufMessages

/// `get agent|prompt|source KEY`: the config in force.
func runGet(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  guard let kind = words.first else {
    throw UsageError("get: agent, prompt or source is missing; --help prints the usage")
  }
  let rest = Array(words.dropFirst())
  switch kind {
  case "agent": return try getAgent(rest, options)
  case "prompt": return try getPrompt(rest, options)
  case "source": return try getSource(rest, options)
  default: throw UsageError("get: \(notOneOf(kind, entityNames))")
  }
}

private func getAgent(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words, "AGENT_ID")
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__get_agent_config_request__init) { request in
    request.agent_id = arena.bytes(words[0])
    request.options = lookupOptions(arena, options)
  }
  return try ToolClient(options).call(
    "GetAgentConfig", request, configlookup__v1__get_agent_config_response__unpack
  ) { response in
    try printReply(response, response.pointee.config, response.pointee.metadata, [], options)
    return ExitStatus.success
  }
}

private func getPrompt(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words, options.promptID ? "PROMPT_ID" : "AGENT_ID")
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__get_prompt_request__init) { request in
    if options.promptID {
      request.selector_case = CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_PROMPT_ID
      request.prompt_id = arena.bytes(words[0])
    } else {
      request.selector_case = CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_AGENT_ID
      request.agent_id = arena.bytes(words[0])
    }
    switch options.variant ?? (options.subject == nil ? "active" : "ab-test") {
    case "staged": request.variant = CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_STAGED
    case "ab-test": request.variant = CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_AB_TEST
    default: request.variant = CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_ACTIVE
    }
    if let subject = options.subject { request.subject = arena.bytes(subject) }
    request.options = lookupOptions(arena, options)
  }
  return try ToolClient(options).call(
    "GetPrompt", request, configlookup__v1__get_prompt_response__unpack
  ) { response in
    let isStaged = response.pointee.variant == CONFIGLOOKUP__V1__PROMPT_VARIANT__PROMPT_VARIANT_STAGED
    var notes = ["variant \(isStaged ? "staged" : "active")"]
    if !response.pointee.test_id.isEmpty { notes.append("test \(response.pointee.test_id.repairedText)") }
    try printReply(response, response.pointee.prompt, response.pointee.metadata, notes, options)
    return ExitStatus.success
  }
}

private func getSource(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  let arena = ProtobufArena()
  let isByOther = options.container != nil || options.aiAgentID != nil
  if isByOther { try expect(words) } else { try expect(words, "SOURCE_ID, --container or --ai-agent") }
  let request = arena.make(configlookup__v1__get_source_config_request__init) { request in
    if let container = options.container {
      request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_CONTAINER
      request.container = arena.bytes(container)
    } else if let agent = options.aiAgentID {
      request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_AI_AGENT_ID
      request.ai_agent_id = arena.bytes(agent)
    } else {
      request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_SOURCE_ID
      request.source_id = arena.bytes(words[0])
    }
    request.options = lookupOptions(arena, options)
  }
  return try ToolClient(options).call(
    "GetSourceConfig", request, configlookup__v1__get_source_config_response__unpack
  ) { response in
    var notes: [String] = []
    for index in 0..<response.pointee.n_other_source_ids {
      notes.append("also \(response.pointee.other_source_ids[index].repairedText)")
    }
    try printReply(response, response.pointee.config, response.pointee.metadata, notes, options)
    return ExitStatus.success
  }
}

/// `resolve CONTAINER PATH`: the source config of a blob, and the fields that its path contains.
func runResolve(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words, "CONTAINER", "PATH")
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__resolve_blob_request__init) { request in
    request.container = arena.bytes(words[0])
    request.path = arena.bytes(words[1])
    request.options = lookupOptions(arena, options)
  }
  return try ToolClient(options).call(
    "ResolveBlob", request, configlookup__v1__resolve_blob_response__unpack
  ) { response in
    if try options.printStructured(response) { return ExitStatus.success }
    try printLine("source: \(safe(response.pointee.config?.pointee.source_id.repairedText ?? ""))")
    for index in 0..<response.pointee.n_fields {
      guard let field = response.pointee.fields[index]?.pointee else { continue }
      try printLine("\(safe(field.key.repairedText)): \(safe(field.value.repairedText))")
    }
    return ExitStatus.success
  }
}

private func lookupOptions(_ arena: ProtobufArena, _ options: ToolOptions)
  -> UnsafeMutablePointer<Configlookup__V1__LookupOptions>
{
  arena.make(configlookup__v1__lookup_options__init) { message in
    if !options.ifNoneMatch.isEmpty { message.if_none_match = arena.bytes(options.ifNoneMatch) }
  }
}

/// Prints the reply of a lookup: the whole reply as JSON or YAML, or the value as text below a comment line with its
/// revision, its etag and the time since it was last verified.
private func printReply<Response, Value>(
  _ response: UnsafePointer<Response>, _ value: UnsafeMutablePointer<Value>?,
  _ metadata: UnsafeMutablePointer<Configlookup__V1__LookupMetadata>?, _ notes: [String], _ options: ToolOptions
) throws {
  if try options.printStructured(response) { return }
  var line = notes.map(safe)
  if let metadata = metadata?.pointee {
    line.append("revision \(metadata.revision)")
    line.append("etag \(safe(metadata.etag.repairedText))")
    line.append("verified \(metadata.age_ms) ms ago")
    if metadata.stale != 0 { line.append(options.style("STALE", .yellow)) }
    if metadata.not_modified != 0 { line.append("not modified") }
  }
  try StandardStreams.write("# " + line.joined(separator: ", ") + "\n")
  if let value { try StandardStreams.write(MessagePrinter().text(UnsafePointer(value))) }
}
