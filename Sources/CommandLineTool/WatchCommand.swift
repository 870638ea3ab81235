// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import Foundation
internal import ProtobufMessages

/// `watch`: prints a line for each notice until the server ends the stream or standard output is closed.
func runWatch(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words)
  if options.follow { return try runFollow(options) }
  try options.checkSelectors()
  let arena = ProtobufArena()
  let request = arena.make(configlookup__v1__watch_invalidations_request__init) { request in
    let entities = options.entities.compactMap { entityNumbers[$0].map(Configlookup__V1__Entity.init(rawValue:)) }
    request.n_entities = entities.count
    request.entities = arena.values(entities)
    request.n_selectors = options.selectors.count
    request.selectors = arena.texts(options.selectors)
    request.n_keys = options.keys.count
    request.keys = arena.texts(options.keys)
    request.n_key_prefixes = options.prefixes.count
    request.key_prefixes = arena.texts(options.prefixes)
    request.send_initial_state = options.initial ? 1 : 0
    request.include_values = options.values ? 1 : 0
    request.progress_interval_ms = UInt32(clamping: options.interval?.milliseconds ?? 0)
  }
  let interval = options.interval ?? .seconds(10)
  var changes = 0
  // Without a notice for three intervals the connection counts as lost.
  try ToolClient(options).stream(
    "WatchInvalidations", request, replyTimeout: interval * 3 + options.timeout,
    configlookup__v1__invalidation_notice__unpack
  ) { notice in
    let isChange =
      notice.pointee.kind == CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_UPSERT
      || notice.pointee.kind == CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_DELETE
    if isChange { changes += 1 }
    if try !options.printStructured(notice) {
      try printLine(line(notice.pointee))
      if options.values, isChange { try StandardStreams.write(value(notice.pointee)) }
    }
    return options.count.map { changes < $0 } ?? true
  }
  return ExitStatus.success
}

/// A notice as a line of text.
func line(_ notice: Configlookup__V1__InvalidationNotice) -> String {
  let time = Date().formatted(.iso8601.timeSeparator(.colon))
  switch notice.kind {
  case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_UPSERT, CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_DELETE:
    let kind = notice.kind == CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_UPSERT ? "UPSERT" : "DELETE"
    return "\(time) \(kind) \(safe(notice.cache_key.repairedText)) revision \(notice.revision) "
      + "\(notice.reason.repairedText) \(safe(notice.item_id.repairedText))"
  case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_RESYNC:
    return "\(time) RESYNC discard cached values and look up again; revision \(notice.revision)"
  default:
    let reason = notice.reason.isEmpty ? "" : " (\(notice.reason.repairedText))"
    return "\(time) PROGRESS all changes up to revision \(notice.revision) were sent\(reason)"
  }
}

private func value(_ notice: Configlookup__V1__InvalidationNotice) -> String {
  switch notice.value_case {
  case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_AGENT_CONFIG: text(notice.agent_config)
  case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_PROMPT: text(notice.prompt)
  case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_SOURCE_CONFIG: text(notice.source_config)
  default: ""
  }
}

private func text<Message>(_ message: UnsafeMutablePointer<Message>?) -> String {
  message.map { MessagePrinter().text(UnsafePointer($0)) } ?? ""
}
