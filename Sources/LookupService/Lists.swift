// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigModels
internal import ProtobufMessages

private let defaultPageSize = 20
private let maximumPageSize = 100

/// The list methods: pages of summaries, in order of key.
extension LookupService {
  func listAgentConfigs(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try unpack(request, state, configlookup__v1__list_agent_configs_request__unpack).pointee
    let type = try choice(message.type, "type", AgentConfigDocument.AgentType.allCases.map(\.rawValue))
    let page = try page(.agentConfig, list: type, size: message.page_size, token: message.page_token)
    return try write(page, view, state, &reply) { answer, _, out in
      out.append(contentsOf: answer.entry.summary)
      ProtobufWriter.unsigned(8, answer.revision.rawValue, to: &out)
      ProtobufWriter.string(9, answer.entry.etagText, to: &out)
    }
  }

  func listPrompts(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try unpack(request, state, configlookup__v1__list_prompts_request__unpack).pointee
    let page = try page(.prompt, list: "", size: message.page_size, token: message.page_token)
    return try write(page, view, state, &reply) { answer, answers, out in
      out.append(contentsOf: answer.entry.summary)
      ProtobufWriter.unsigned(6, answer.revision.rawValue, to: &out)
      ProtobufWriter.string(7, answer.entry.etagText, to: &out)
      guard let promptID = answer.entry.keys.first(where: { $0.space == PromptDocument.Space.promptID }),
        let staged = answers.answer(LookupKey(bytes: promptID.bytes, space: PromptDocument.Space.stagedPromptID)),
        let cachedValue = (staged.entry as? ModelEntry<PromptDocument.CachedValue>)?.cachedValue
      else { return }
      ProtobufWriter.string(8, cachedValue.version, to: &out)
    }
  }

  func listSourceConfigs(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try unpack(request, state, configlookup__v1__list_source_configs_request__unpack).pointee
    let mode = try choice(message.ingestion_mode, "ingestion_mode", SourceConfigDocument.Mode.allCases.map(\.rawValue))
    let page = try page(.sourceConfig, list: mode, size: message.page_size, token: message.page_token)
    return try write(page, view, state, &reply) { answer, _, out in
      out.append(contentsOf: answer.entry.summary)
      ProtobufWriter.unsigned(7, answer.revision.rawValue, to: &out)
      ProtobufWriter.string(8, answer.entry.etagText, to: &out)
    }
  }

  // MARK: Pages

  /// The requested page of a list.
  private struct Page {
    let list: String
    let size: Int
    /// The key after which the page begins; nil for the first page.
    let last: [UInt8]?
  }

  /// Reads the requested page. `list` is the value of the filter, empty for all.
  private func page(
    _ entity: ServedEntity, list: String, size: Int32, token: ProtobufCBinaryData
  ) throws(RPCStatus) -> Page {
    if size < 0 { throw RPCStatus.invalid("page_size", "\(size) is below 0") }
    let size = size == 0 ? defaultPageSize : min(Int(size), maximumPageSize)
    let last = token.isEmpty ? nil : try PageToken.decode(token.buffer, list: "\(entity.name)/\(list)")
    return Page(list: list, size: size, last: last)
  }

  /// Writes a page. Its rows, and everything that belongs to them, are as of one moment.
  private func write(
    _ page: Page, _ view: CacheView, _ state: WorkerState, _ reply: inout RPCReply,
    _ summary: (CachedAnswer, AnswerReader, inout [UInt8]) -> Void
  ) throws(RPCStatus) -> RPCWait? {
    reply.head += try state.withAnswers(view.entity) { answers throws(RPCStatus) in
      var head: [UInt8] = []
      let all = answers.list(page.list)
      var start = 0
      if let last = page.last, let space = all.first?.key.space {
        let key = LookupKey(bytes: last, space: space)
        start = all.firstIndex(notBefore: key)
        if start < all.count, all[start].key == key { start += 1 }
      }
      var end = start
      for answer in all[start..<min(start + page.size, all.count)] {
        // A page is not larger than any other reply: if the texts are long, it has fewer rows than requested.
        if end > start, head.count + answer.entry.summary.count > ServedSize.documentBytes { break }
        ProtobufWriter.message(1, to: &head) { summary(answer, answers, &$0) }
        end += 1
      }
      if end < all.count {
        ProtobufWriter.string(
          2, PageToken.encode(after: all[end - 1].key, list: "\(view.entity.name)/\(page.list)"), to: &head)
      }
      ProtobufWriter.unsigned(3, UInt64(all.count), to: &head)
      return head
    }
    writeMetadata(4, view, state, revision: .none, etag: UnsafeRawBufferPointer(start: nil, count: 0), false)
    reply.head.append(contentsOf: state.scratch.bytes)
    return nil
  }

  /// The value of a filter: empty, or one of `choices`.
  private func choice(_ data: ProtobufCBinaryData, _ field: String, _ choices: [String]) throws(RPCStatus) -> String {
    guard let text = data.text, text.isEmpty || choices.contains(text) else {
      throw RPCStatus.invalid(field, "must be one of \(choices.joined(separator: ", "))")
    }
    return text
  }
}
