internal import CConfigLookupProto
internal import Core
internal import ProtobufMessages

/// `status`: how the caches are doing; the exit status says whether all of them are valid.
func runStatus(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words)
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__get_cache_status_request__init) { _ in }
  return try ToolClient(options).call(
    "GetCacheStatus", request, configlookup__v1__get_cache_status_response__unpack
  ) { response in
    let printer = MessagePrinter(includesDefaults: true)
    if options.json { try say(printer.json(response)) } else { try StandardStreams.write(printer.text(response)) }
    let caches = [response.pointee.agent_config, response.pointee.prompt, response.pointee.source_config]
    // The others are not for this caller to see.
    let areValid = caches.compactMap { $0 }.allSatisfy { $0.pointee.cache_valid != 0 }
    return areValid ? ExitStatus.success : ExitStatus.notValid
  }
}

/// `health`: whether calls should come here; needs no right, and says what `/health/ready` says.
func runHealth(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words)
  // The standard method for it is gRPC's alone.
  var options = options
  options.isGRPC = true
  let isServing = try ToolClient(options).isServing()
  try say(options.json ? #"{"serving":\#(isServing)}"# : isServing ? "serving" : "not serving")
  return isServing ? ExitStatus.success : ExitStatus.unavailable
}

/// `invalidate [agent|prompt|source]`
func runInvalidate(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  var entity: UInt32 = 0
  if let word = words.first {
    try expect(words, "agent, prompt or source")
    guard let number = entityNumbers[word] else {
      throw UsageError("invalidate \(word): none of agent, prompt, source")
    }
    entity = number
  }
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__invalidate_cache_request__init) {
    $0.entity = Configlookup__V1__Entity(rawValue: entity)
  }
  return try ToolClient(options).call(
    "configlookup.v1.ConfigLookupAdmin/InvalidateCache", request, configlookup__v1__invalidate_cache_response__unpack
  ) { response in
    if options.json {
      try say(MessagePrinter().json(response))
    } else {
      try say("asked \(response.pointee.n_entities) cache\(response.pointee.n_entities == 1 ? "" : "s") to reload")
    }
    return ExitStatus.success
  }
}
