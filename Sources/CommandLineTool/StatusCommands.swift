internal import CConfigLookupProto
internal import Core
internal import Foundation
internal import Network
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

/// `health`: whether calls should come here; needs no permission, and says what `/health/ready` says.
func runHealth(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words)
  if let server = options.httpServer { return try askHealth(of: server, options) }
  // The standard method for it is gRPC's alone.
  var options = options
  options.isGRPC = true
  let isServing = try ToolClient(options).isServing()
  try say(options.json ? #"{"serving":\#(isServing)}"# : isServing ? "serving" : "not serving")
  return isServing ? ExitStatus.success : ExitStatus.unavailable
}

/// Asks `/health/ready`: the HTTP port takes callers without a certificate, as a health check is one.
private func askHealth(of server: HTTPServer, _ options: ToolOptions) throws -> Int32 {
  let address = server.address
  let tls = server.usesTLS == false ? nil : try options.tls.context(["http/1.1"], isForced: server.usesTLS == true)
  let exchange = HTTPExchange("GET", "/health/ready", to: address, peer: "the server", bodyLimit: Limits.healthBytes)
  let reply: HTTPExchange.Reply
  do throws(NetworkError) {
    reply = try exchange.send(
      tls: tls, serverName: options.tls.serverName,
      deadline: .now.advanced(bySeconds: options.timeoutSeconds))
  } catch {
    throw ToolFailure(status: ExitStatus.unavailable, message: error.message)
  }
  guard reply.status == 200 || reply.status == 503 else {
    throw ToolFailure(
      status: ExitStatus.unavailable,
      message: "\"\(address)\": answers /health/ready with status \(reply.status); is it the server's --http-listen?")
  }
  let isServing = reply.status == 200
  let report = try? JSONSerialization.jsonObject(with: Data(reply.body)) as? [String: Any]
  let reasons = (report?["reasons"] as? [[String: Any]] ?? []).map { reason in
    ["cache", "reason"].compactMap { reason[$0] as? String }.joined(separator: " ")
  }
  let because = reasons.isEmpty ? "" : ": " + safe(reasons.joined(separator: ", "))
  try say(options.json ? #"{"serving":\#(isServing)}"# : isServing ? "serving" : "not serving\(because)")
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
      let wait = response.pointee.starts_after_ms
      try say(
        "asked \(response.pointee.n_entities) cache\(response.pointee.n_entities == 1 ? "" : "s") to reload"
          + (wait == 0 ? "" : ", in \((wait + 999) / 1000) s: another reload was asked for just before"))
    }
    return ExitStatus.success
  }
}
