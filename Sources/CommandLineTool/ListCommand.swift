internal import CConfigLookupProto
internal import Core
internal import ProtobufMessages

/// `list agents|prompts|sources`: every page, or the one that is asked for.
func runList(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words, "agents, prompts or sources")
  let list: (ToolClient, String) throws -> String
  switch words[0] {
  case "agents": list = { try agents($0, $1, options) }
  case "prompts": list = { try prompts($0, $1, options) }
  case "sources": list = { try sources($0, $1, options) }
  default: throw UsageError("list \(words[0]): none of agents, prompts, sources")
  }
  let client = try ToolClient(options)
  let isOnePage = options.pageSize != 0 || !options.pageToken.isEmpty
  var token = options.pageToken
  repeat {
    token = try list(client, token)
  } while !token.isEmpty && !isOnePage
  if !token.isEmpty, !options.json { try say("# more: --page-token \(token)") }
  return ExitStatus.success
}

private func agents(_ client: ToolClient, _ token: String, _ options: ToolOptions) throws -> String {
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__list_agent_configs_request__init) { request in
    request.page_size = options.pageSize
    request.page_token = arena.bytes(token)
    request.type = arena.bytes(options.type)
  }
  return try client.call("ListAgentConfigs", request, configlookup__v1__list_agent_configs_response__unpack) { page in
    if options.json { try say(MessagePrinter().json(page)) }
    for index in 0..<page.pointee.n_summaries where !options.json {
      guard let item = page.pointee.summaries[index]?.pointee else { continue }
      try row([item.agent_id, item.version, item.type, item.model, item.description])
    }
    return page.pointee.next_page_token.repairedText
  }
}

private func prompts(_ client: ToolClient, _ token: String, _ options: ToolOptions) throws -> String {
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__list_prompts_request__init) { request in
    request.page_size = options.pageSize
    request.page_token = arena.bytes(token)
  }
  return try client.call("ListPrompts", request, configlookup__v1__list_prompts_response__unpack) { page in
    if options.json { try say(MessagePrinter().json(page)) }
    for index in 0..<page.pointee.n_summaries where !options.json {
      guard let item = page.pointee.summaries[index]?.pointee else { continue }
      try row(
        [item.agent_id, item.version, item.prompt_id],
        note: item.staged_version.isEmpty ? "" : "staged \(item.staged_version.repairedText)")
    }
    return page.pointee.next_page_token.repairedText
  }
}

private func sources(_ client: ToolClient, _ token: String, _ options: ToolOptions) throws -> String {
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__list_source_configs_request__init) { request in
    request.page_size = options.pageSize
    request.page_token = arena.bytes(token)
    request.ingestion_mode = arena.bytes(options.mode)
  }
  return try client.call("ListSourceConfigs", request, configlookup__v1__list_source_configs_response__unpack) { page in
    if options.json { try say(MessagePrinter().json(page)) }
    for index in 0..<page.pointee.n_summaries where !options.json {
      guard let item = page.pointee.summaries[index]?.pointee else { continue }
      try row([item.source_id, item.ingestion_mode, item.landing_container, item.ai_agent_id, item.display_name])
    }
    return page.pointee.next_page_token.repairedText
  }
}

/// A line of columns; an empty one is a dash.
private func row(_ columns: [ProtobufCBinaryData], note: String = "") throws {
  var cells = columns.map { $0.isEmpty ? "-" : safe($0.repairedText) }
  if !note.isEmpty { cells.append(note) }
  let widths = [28, 16, 20, 28]
  let padded = cells.enumerated().map { index, cell in
    let width = index < widths.count && index < cells.count - 1 ? widths[index] : 0
    return cell + String(repeating: " ", count: max(0, width - cell.count))
  }
  try say(padded.joined(separator: "  "))
}
