// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import ProtobufMessages

/// `status`: the state of each cache. The exit status is that of the worst one.
func runStatus(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words)
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__get_cache_status_request__init) { _ in }
  return try ToolClient(options).call(
    "GetCacheStatus", request, configlookup__v1__get_cache_status_response__unpack
  ) { response in
    // The server leaves out the caches that the caller may not read.
    let caches = [
      ("agent_config", response.pointee.agent_config), ("prompt", response.pointee.prompt),
      ("source_config", response.pointee.source_config),
    ].compactMap { name, status in status.map { (name: name, status: $0.pointee) } }
    if try !options.printStructured(response, includesDefaults: true) {
      try printStatus(caches, options.style)
      let epoch = response.pointee.epoch.repairedText
      try printLine("epoch \(epoch.isEmpty ? "-" : safe(epoch))")
    }
    let areValid = caches.allSatisfy { $0.status.cache_valid != 0 }
    return areValid ? ExitStatus.success : ExitStatus.notValid
  }
}

/// Prints the figures of all caches side by side, and the documents that are not served.
private func printStatus(_ caches: [(name: String, status: Configlookup__V1__CacheStatus)], _ style: Style) throws {
  var states = TextTable(
    "CACHE", "STATE", "KEYS", "VERIFIED", "STREAM", "REJECTED", "CONFLICTS", "LAST_CHANGE")
  var totals = TextTable("CACHE", "LOADED", "REVISION", "DRIFT", "RESYNCS", "RECONNECTS")
  var rejected = TextTable("CACHE", "REJECTED_DOCUMENT", "FIELD", "PROBLEM")
  var conflicts = TextTable("CACHE", "CONFLICTING_KEY", "SERVED_DOCUMENT", "OTHER_DOCUMENT")
  for (name, status) in caches {
    let isLoaded = status.loaded_at != nil
    let isStreaming = status.change_stream_active != 0
    states.add([
      TextTable.Cell(name),
      status.cache_valid != 0
        ? TextTable.Cell("valid", .green)
        : isLoaded ? TextTable.Cell("stale", .yellow) : TextTable.Cell("not_loaded", .red),
      TextTable.Cell("\(status.cache_size)"),
      TextTable.Cell(isLoaded ? age(Duration(clampingSeconds: status.cache_age_seconds)) : ""),
      TextTable.Cell(isStreaming ? "active" : "inactive", isStreaming ? .green : .red),
      TextTable.Cell("\(status.rejected_count)", status.rejected_count > 0 ? .yellow : nil),
      TextTable.Cell("\(status.conflict_count)", status.conflict_count > 0 ? .yellow : nil),
      TextTable.Cell(time(status.last_change_at)),
    ])
    totals.add([
      TextTable.Cell(name), TextTable.Cell(time(status.loaded_at)), TextTable.Cell("\(status.observed_revision)"),
      TextTable.Cell("\(status.drift)"), TextTable.Cell("\(status.resyncs)"), TextTable.Cell("\(status.reconnects)"),
    ])
    for index in 0..<status.n_rejected {
      guard let document = status.rejected[index]?.pointee else { continue }
      let texts = [document.item_id, document.field, document.problem].map { TextTable.Cell($0.repairedText) }
      rejected.add([TextTable.Cell(name)] + texts)
    }
    for index in 0..<status.n_conflicts {
      guard let conflict = status.conflicts[index]?.pointee else { continue }
      let texts = [conflict.cache_key, conflict.wins, conflict.loses].map { TextTable.Cell($0.repairedText) }
      conflicts.add([TextTable.Cell(name)] + texts)
    }
  }
  try states.print(style)
  for table in [totals, rejected, conflicts] where !table.isEmpty {
    try StandardStreams.write("\n")
    try table.print(style)
  }
  try StandardStreams.write("\n")
}

/// The time since the contents were last verified: `0.13s`, `12s`.
private func age(_ age: Duration) -> String {
  age < .seconds(10) ? "\((age.seconds * 100).rounded() / 100)s" : "\(age.components.seconds)s"
}

/// `2026-11-21T08:40:34Z`; empty where there is none.
private func time(_ timestamp: UnsafeMutablePointer<Google__Protobuf__Timestamp>?) -> String {
  guard let timestamp else { return "" }
  return Date(timeIntervalSince1970: Double(timestamp.pointee.seconds)).formatted(.iso8601)
}

/// `health`: whether the server accepts calls, as `/health/ready` reports it. It needs no permission.
func runHealth(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words)
  if let server = options.httpServer { return try checkHealth(of: server, options) }
  // Health is a standard method of gRPC, which the framed protocol does not have.
  var options = options
  options.isGRPC = true
  return try printHealth(ToolClient(options).isServing(), reasons: [], options)
}

/// Requests `/health/ready`. The HTTP port accepts clients without a certificate, as a health check is one.
private func checkHealth(of server: HTTPServer, _ options: ToolOptions) throws -> Int32 {
  let address = server.address
  let tls = server.usesTLS == false ? nil : try options.tls.context(["http/1.1"], isForced: server.usesTLS == true)
  let exchange = HTTPExchange(
    "GET", "/health/ready", to: address, peer: "the server", bodyLimit: ToolLimits.healthBytes)
  let reply: HTTPExchange.Reply
  do throws(NetworkError) {
    reply = try exchange.send(
      tls: tls, serverName: options.tls.serverName,
      deadline: .now.advanced(by: options.timeout))
  } catch {
    throw ToolFailure(status: ExitStatus.unavailable, message: error.message)
  }
  guard reply.status == 200 || reply.status == 503 else {
    throw ToolFailure(
      status: ExitStatus.unavailable,
      message: "\"\(address)\": answers /health/ready with status \(reply.status); is it the server's --http-listen?")
  }
  let report = try? JSONSerialization.jsonObject(with: Data(reply.body)) as? [String: Any]
  let reasons = (report?["reasons"] as? [[String: Any]] ?? []).map { reason in
    ["cache", "reason"].compactMap { reason[$0] as? String }.joined(separator: " ")
  }
  return try printHealth(reply.status == 200, reasons: reasons, options)
}

private func printHealth(_ isServing: Bool, reasons: [String], _ options: ToolOptions) throws -> Int32 {
  if try !options.printStructured([("serving", .bool(isServing))]) {
    let state = options.style(isServing ? "serving" : "not serving", isServing ? .green : .red)
    let because = isServing || reasons.isEmpty ? "" : ": " + safe(reasons.joined(separator: ", "))
    try StandardStreams.write(state + because + "\n")
  }
  return isServing ? ExitStatus.success : ExitStatus.unavailable
}

/// `invalidate [agent|prompt|source]`: asks the server to reload one collection, or all.
func runInvalidate(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  var entity: UInt32 = 0
  if let word = words.first {
    try expect(words, "agent, prompt or source")
    guard let number = entityNumbers[word] else { throw UsageError("invalidate: \(notOneOf(word, entityNames))") }
    entity = number
  }
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__invalidate_cache_request__init) {
    $0.entity = Configlookup__V1__Entity(rawValue: entity)
  }
  return try ToolClient(options).call(
    "configlookup.v1.ConfigLookupAdmin/InvalidateCache", request, configlookup__v1__invalidate_cache_response__unpack
  ) { response in
    if try !options.printStructured(response) {
      let wait = response.pointee.starts_after_ms
      try printLine(
        "asked \(response.pointee.n_entities) cache\(response.pointee.n_entities == 1 ? "" : "s") to reload"
          + (wait == 0 ? "" : ", in \((wait + 999) / 1000) s: another reload was asked for just before"))
    }
    return ExitStatus.success
  }
}
