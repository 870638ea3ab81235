// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Guarantees

/// Calls of a simulated server, with requests and replies in their wire format.
extension SimulatedServer {
  /// Passes a call to the server. `pageToken` is the token of the previous page.
  func lookUp(_ lookup: Lookup, pageToken: String = "") -> Outcome {
    let request = request(lookup, pageToken)
    guard let method = methods[request.method], case .unary(let handler) = method.handler else {
      preconditionFailure("no method \(request.method)")
    }
    var reply = RPCReply()
    var wait: RPCWait?
    var status = RPCStatus.ok
    worker.beginCall()
    // Time may pass during the lookup; the reply's values are as of the time before.
    let collection = Collection.allCases.first { lookup.key.hasPrefix($0.entity) } ?? .agentConfigs
    let source = sources[collection.rawValue]
    let wasBehind = source.majorityLag > limits.majorityLag
    let leastAge = clock.now.milliseconds(since: sources[collection.rawValue].askedAt)
    isAnswering = true
    defer { isAnswering = false }
    request.bytes.withUnsafeBytes { buffer in
      // Like a transport, this tries the fast path first.
      if let plain = plainReply(request.method, buffer) {
        (reply.head, reply.body) = (Array(plain.head), Array(plain.body))
        return
      }
      let call = RPCRequest(message: buffer, metadata: RPCMetadata(), deadline: nil, worker: worker)
      do throws(RPCStatus) {
        wait = try handler(call, &reply)
      } catch {
        status = error
      }
    }
    if let wait { return .wait(wait) }
    var result = read(lookup, status, reply)
    result.leastAgeMilliseconds = leastAge
    // The cache may have received a reply between two looks of the call.
    result.isBehindMajority = wasBehind == (source.majorityLag > limits.majorityLag) ? wasBehind : nil
    return .reply(result)
  }

  private func plainReply(_ method: String, _ message: UnsafeRawBufferPointer) -> RPCPlainReply? {
    guard let calls = plainCalls[method] else { return nil }
    withUnsafePointer(to: message) { calls.prepare(for: UnsafeBufferPointer(start: $0, count: 1)) }
    return calls.reply(at: 0, nil)
  }

  func watch(_ request: Wire, _ writer: any RPCStreamWriter) -> (any RPCStreamHandler)? {
    guard case .serverStreaming(let handler)? = methods["WatchInvalidations"]?.handler else { return nil }
    var reply = RPCReply()
    return request.encoded.withUnsafeBytes { buffer in
      let call = RPCRequest(message: buffer, metadata: RPCMetadata(), deadline: nil, worker: worker)
      return try? handler(call, writer, &reply)
    }
  }

  // MARK: Requests

  /// Encodes a name of the true history as a request.
  private func request(_ lookup: Lookup, _ pageToken: String) -> (method: String, bytes: [UInt8]) {
    var options = Wire()
    options.add(2, lookup.minimumRevision.rawValue)
    options.add(4, lookup.maximumStalenessMilliseconds)
    if let page = lookup.page { return request(page, pageToken) }
    let parts = lookup.key.split(separator: ":").map(String.init)
    var wire = Wire()
    func with(_ options: Wire, _ field: Int) -> [UInt8] {
      if !options.isEmpty { wire.add(field, options) }
      return wire.encoded
    }
    switch parts[0] {
    case "agent_config":
      wire.add(1, parts[1])
      return ("GetAgentConfig", with(options, 2))
    case "source_config", "source_config.container", "source_config.ai_agent_id":
      wire.add(parts[0] == "source_config" ? 1 : parts[0] == "source_config.container" ? 2 : 3, parts[1])
      return ("GetSourceConfig", with(options, 4))
    case "source_config#blob":
      wire.add(1, parts[1])
      wire.add(2, "x/1")
      return ("ResolveBlob", with(options, 3))
    default:
      wire.add(parts[0].hasSuffix("prompt_id") ? 2 : 1, parts[1])
      let isTest = parts[0].hasPrefix("prompt#test")
      if isTest || parts.count > 2 { wire.add(3, isTest ? 3 : 2) }
      if isTest { wire.add(4, "somebody") }
      return ("GetPrompt", with(options, 5))
    }
  }

  private func request(_ page: PageRequest, _ token: String) -> (method: String, bytes: [UInt8]) {
    var wire = Wire()
    wire.add(1, UInt64(page.size))
    wire.add(2, token)
    let methods = ["agent_config": "ListAgentConfigs", "prompt": "ListPrompts", "source_config": "ListSourceConfigs"]
    return (methods[String(page.list.prefix { $0 != "#" })] ?? "", wire.encoded)
  }

  // MARK: Replies

  private func read(_ lookup: Lookup, _ status: RPCStatus, _ reply: RPCReply) -> LookupReply {
    guard status.code == .ok else {
      var result = LookupReply(
        status.code == .notFound
          ? .notFound : .refused(isUnavailable: status.code == .unavailable, status.description))
      result.observed = Revision(reply.metadata["configlookup-observed-revision"].flatMap { UInt64($0) } ?? 0)
      result.epoch = reply.metadata["configlookup-epoch"] ?? ""
      return result
    }
    let message = Wire((reply.head + reply.body)[...])
    let metadata = message.message(lookup.page == nil ? 2 : 4)
    var result = LookupReply(lookup.page.map { read($0, message) } ?? read(lookup, message, metadata))
    if lookup.key.hasPrefix("prompt:") || lookup.key.hasPrefix("source_config.") {
      let others = message.texts(lookup.key.hasPrefix("prompt:") ? 5 : 3)
      // An A/B lookup that serves a staged prompt names no other prompts.
      result.others = lookup.key.hasSuffix(":staged") ? nil : others
    }
    result.isStale = metadata.number(4) != 0
    result.ageMilliseconds = metadata.number(5)
    result.observed = Revision(metadata.number(7))
    result.epoch = metadata.text(8)
    return result
  }

  private func read(_ lookup: Lookup, _ message: Wire, _ metadata: Wire) -> LookupReply.Result {
    let revision = Revision(metadata.number(1))
    let label = message.bytes(1).map { Self.label(Wire($0), lookup.key) }
    if lookup.key.hasPrefix("source_config#blob:"), let label {
      let source = message.message(1).text(1)
      return .composed(label: label, parts: [LookupReply.Part("source_config:\(source)", label, at: revision)])
    }
    if lookup.key.hasPrefix("prompt#test."), let label {
      let isStaged = message.number(3) == 2
      let isByAgent = lookup.key.hasPrefix("prompt#test.agent_id")
      let key = String(lookup.key.drop { $0 != ":" }.dropFirst())
      let part = (isByAgent ? "prompt:" : "prompt.prompt_id:") + key + (isStaged ? ":staged" : "")
      return .composed(
        label: History.tested(label, isStaged: isStaged, test: message.text(4)),
        parts: [LookupReply.Part(part, label, at: revision)])
    }
    return .found(label: label, etag: metadata.text(2), revision: revision)
  }

  private func read(_ page: PageRequest, _ message: Wire) -> LookupReply.Result {
    let collection = Collection.allCases.first { History.list($0) == page.list } ?? .agentConfigs
    var rows: [String] = []
    var parts: [LookupReply.Part] = []
    lastKey = nil
    for row in message.messages(1) {
      let key = collection == .prompts ? [row.text(1), row.text(2)] : [row.text(1)]
      let (revision, etag) =
        switch collection {
        case .agentConfigs: (row.number(8), row.text(9))
        case .prompts: (row.number(6), row.text(7))
        case .sourceConfigs: (row.number(7), row.text(8))
        }
      let label = label(etag) ?? "etag \(etag)"
      let version = [row.text(3), row.text(4), ""][collection.rawValue]
      rows.append(
        History.row(key, label, version: version, stagedVersion: collection == .prompts ? row.text(8) : ""))
      let name =
        collection == .prompts
        ? SimulatedDocument.rowKey(key[0], key[1]) : "\(collection.entity):\(key[0])"
      parts.append(LookupReply.Part(name, label, at: Revision(revision)))
      lastKey = key
    }
    pageToken = message.text(2)
    return .composed(
      label: PageRequest.text(rows: rows, hasMore: !pageToken.isEmpty, totalCount: Int(message.number(3))),
      parts: parts)
  }

  /// Returns the label of a document's content from its encoded message.
  static func label(_ value: Wire, _ key: String) -> String {
    if key.hasPrefix("agent_config") { return value.text(6) }
    if key.hasPrefix("source_config") { return value.text(3) }
    return value.message(6).text(2)
  }
}
