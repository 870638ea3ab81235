internal import CConfigLookupProto
internal import ChangeStreamCache
internal import ConfigModels
internal import Core
internal import ProtobufMessages
internal import RPC

private let defaultPageSize = 20
private let maximumPageSize = 100

/// The lists: pages of summaries, in order of key.
extension LookupService {
  func listAgentConfigs(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try unpack(request, state, configlookup__v1__list_agent_configs_request__unpack).pointee
    let type = try choice(message.type, "type", AgentConfig.AgentType.allCases.map(\.rawValue))
    let page = try page(.agentConfig, list: type, size: message.page_size, token: message.page_token)
    return write(page, view, state, &reply) { answer, out in
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
    let reader = caches[ServedEntity.prompt.rawValue].reader
    return write(page, view, state, &reply) { answer, out in
      out.append(contentsOf: answer.entry.summary)
      ProtobufWriter.unsigned(6, answer.revision.rawValue, to: &out)
      ProtobufWriter.string(7, answer.entry.etagText, to: &out)
      let stagedKey = LookupKey(bytes: answer.key.bytes, space: Prompt.Space.stagedAgentID)
      if let staged = reader.answer(stagedKey)?.entry as? ModelEntry<Prompt.Kept> {
        ProtobufWriter.string(8, staged.kept.version, to: &out)
      }
    }
  }

  func listSourceConfigs(
    _ view: CacheView, _ state: WorkerState, _ request: borrowing RPCRequest, _ reply: inout RPCReply
  ) throws(RPCStatus) -> RPCWait? {
    let message = try unpack(request, state, configlookup__v1__list_source_configs_request__unpack).pointee
    let mode = try choice(message.ingestion_mode, "ingestion_mode", SourceConfig.Mode.allCases.map(\.rawValue))
    let page = try page(.sourceConfig, list: mode, size: message.page_size, token: message.page_token)
    return write(page, view, state, &reply) { answer, out in
      out.append(contentsOf: answer.entry.summary)
      ProtobufWriter.unsigned(7, answer.revision.rawValue, to: &out)
      ProtobufWriter.string(8, answer.entry.etagText, to: &out)
    }
  }

  // MARK: Beneath

  private struct Page {
    let answers: ArraySlice<Answer>
    let nextToken: String
    let totalCount: Int
  }

  /// The page of a list that a request asks for. `list` is the filter's value, empty for all.
  private func page(
    _ entity: ServedEntity, list: String, size: Int32, token: ProtobufCBinaryData
  ) throws(RPCStatus) -> Page {
    if size < 0 { throw RPCStatus.invalid("page_size", "\(size) is below 0") }
    let size = size == 0 ? defaultPageSize : min(Int(size), maximumPageSize)
    let reader = caches[entity.rawValue].reader
    let name = "\(reader.entity)/\(list)"
    let answers = reader.list(list)
    var start = 0
    if !token.isEmpty {
      let last = LookupKey(bytes: try PageToken.decode(token.buffer, list: name), space: 0)
      start = answers.firstPlace(notBefore: last)
      if start < answers.count, answers[start].key == last { start += 1 }
    }
    let end = min(start + size, answers.count)
    let nextToken = end < answers.count ? PageToken.encode(after: answers[end - 1].key, list: name) : ""
    return Page(answers: answers[start..<end], nextToken: nextToken, totalCount: answers.count)
  }

  private func write(
    _ page: Page, _ view: CacheView, _ state: WorkerState, _ reply: inout RPCReply,
    _ summary: (Answer, inout [UInt8]) -> Void
  ) -> RPCWait? {
    for answer in page.answers {
      ProtobufWriter.message(1, to: &reply.head) { summary(answer, &$0) }
    }
    ProtobufWriter.string(2, page.nextToken, to: &reply.head)
    ProtobufWriter.unsigned(3, UInt64(page.totalCount), to: &reply.head)
    writeMetadata(4, view, state, revision: .none, etag: UnsafeRawBufferPointer(start: nil, count: 0), false)
    reply.head.append(contentsOf: state.scratch.bytes)
    return nil
  }

  /// A filter's value: empty, or one of `choices`.
  private func choice(_ data: ProtobufCBinaryData, _ field: String, _ choices: [String]) throws(RPCStatus) -> String {
    guard let text = data.text, text.isEmpty || choices.contains(text) else {
      throw RPCStatus.invalid(field, "is none of \(choices.joined(separator: ", "))")
    }
    return text
  }
}
