// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ProtobufMessages

/// `list agents|prompts|sources`: every page as one table or as an object for each page, or the page that is asked for.
func runList(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words, "agents, prompts or sources")
  var table: TextTable
  let list: (ToolClient, String, inout TextTable) throws -> String
  switch words[0] {
  case "agents":
    table = TextTable("AGENT_ID", "VERSION", "TYPE", "MODEL", "DESCRIPTION")
    list = { try agents($0, $1, options, &$2) }
  case "prompts":
    table = TextTable("AGENT_ID", "VERSION", "STAGED", "PROMPT_ID")
    list = { try prompts($0, $1, options, &$2) }
  case "sources":
    table = TextTable("SOURCE_ID", "MODE", "CONTAINER", "AI_AGENT_ID", "NAME")
    list = { try sources($0, $1, options, &$2) }
  default: throw UsageError("list: \(notOneOf(words[0], ["agents", "prompts", "sources"]))")
  }
  let client = try ToolClient(options)
  let isOnePage = options.pageSize != 0 || !options.pageToken.isEmpty
  var token = options.pageToken
  repeat {
    token = try list(client, token, &table)
  } while !token.isEmpty && !isOnePage
  guard options.output == .text else { return ExitStatus.success }
  try table.print(options.style)
  if !token.isEmpty { try printLine("# more: --page-token \(token)") }
  return ExitStatus.success
}

/// Reads a page, prints it or adds its rows to the table.
///
/// - Returns: The token of the next page; empty after the last one.
private func agents(
  _ client: ToolClient, _ token: String, _ options: ToolOptions, _ table: inout TextTable
) throws -> String {
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__list_agent_configs_request__init) { request in
    request.page_size = options.pageSize
    request.page_token = arena.bytes(token)
    request.type = arena.bytes(options.type)
  }
  return try client.call("ListAgentConfigs", request, configlookup__v1__list_agent_configs_response__unpack) { page in
    if try !options.printStructured(page) {
      for index in 0..<page.pointee.n_summaries {
        guard let item = page.pointee.summaries[index]?.pointee else { continue }
        table.add(cells(item.agent_id, item.version, item.type, item.model, item.description))
      }
    }
    return page.pointee.next_page_token.repairedText
  }
}

private func prompts(
  _ client: ToolClient, _ token: String, _ options: ToolOptions, _ table: inout TextTable
) throws -> String {
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__list_prompts_request__init) { request in
    request.page_size = options.pageSize
    request.page_token = arena.bytes(token)
  }
  return try client.call("ListPrompts", request, configlookup__v1__list_prompts_response__unpack) { page in
    if try !options.printStructured(page) {
      for index in 0..<page.pointee.n_summaries {
        guard let item = page.pointee.summaries[index]?.pointee else { continue }
        table.add(cells(item.agent_id, item.version, item.staged_version, item.prompt_id))
      }
    }
    return page.pointee.next_page_token.repairedText
  }
}

private func sources(
  _ client: ToolClient, _ token: String, _ options: ToolOptions, _ table: inout TextTable
) throws -> String {
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__list_source_configs_request__init) { request in
    request.page_size = options.pageSize
    request.page_token = arena.bytes(token)
    request.ingestion_mode = arena.bytes(options.mode)
  }
  return try client.call("ListSourceConfigs", request, configlookup__v1__list_source_configs_response__unpack) { page in
    if try !options.printStructured(page) {
      for index in 0..<page.pointee.n_summaries {
        guard let item = page.pointee.summaries[index]?.pointee else { continue }
        table.add(
          cells(item.source_id, item.ingestion_mode, item.landing_container, item.ai_agent_id, item.display_name))
      }
    }
    return page.pointee.next_page_token.repairedText
  }
}

private func cells(_ columns: ProtobufCBinaryData...) -> [TextTable.Cell] {
  columns.map { TextTable.Cell($0.repairedText) }
}
