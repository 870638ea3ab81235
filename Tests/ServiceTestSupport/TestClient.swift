package import CConfigLookupProto
internal import Core
package import Network
package import ProtobufMessages
package import RPC

/// Makes every call of the service over one connection, and gives replies as values.
package final class TestClient {
  package typealias Unpack<Message> = (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) ->
    UnsafeMutablePointer<Message>?

  package let rpc: any RPCClient
  package let arena = ProtobufArena()
  /// Whether replies carry the whole value as text: it takes longer than the call.
  package var printsValues = true

  package init(_ address: HostAndPort, _ transport: Transport = .frames) throws {
    rpc = try transport.connect(address)
  }

  /// Takes over a connection.
  package init(_ rpc: any RPCClient) {
    self.rpc = rpc
  }

  /// What a caller can ask of every lookup.
  package struct Options {
    package var ifNoneMatch = ""
    package var minRevision: UInt64 = 0
    package var epoch = ""
    package var maxStalenessMilliseconds: UInt32 = 0

    package init(
      ifNoneMatch: String = "", minRevision: UInt64 = 0, epoch: String = "", maxStalenessMilliseconds: UInt32 = 0
    ) {
      self.ifNoneMatch = ifNoneMatch
      self.minRevision = minRevision
      self.epoch = epoch
      self.maxStalenessMilliseconds = maxStalenessMilliseconds
    }
  }

  package enum PromptKey {
    case agentID(String), promptID(String), none
  }

  package enum SourceKey {
    case sourceID(String), container(String), aiAgentID(String), none
  }

  package enum Variant: UInt32 {
    case unspecified, active, staged, abTest
  }

  package func agent(_ agentID: String, _ options: Options = Options()) throws -> LookupReply {
    try agent(bytes: Array(agentID.utf8), options)
  }

  package func agent(bytes: [UInt8], _ options: Options = Options()) throws -> LookupReply {
    let request = arena.make(configlookup__v1__get_agent_config_request__init) {
      $0.agent_id = arena.bytes(bytes)
      $0.options = self.options(options)
    }
    return try lookup("GetAgentConfig", request, configlookup__v1__get_agent_config_response__unpack) {
      message, reply in
      reply.setMetadata(message.pointee.metadata)
      reply.setValue(message.pointee.config)
      guard let config = message.pointee.config?.pointee else { return }
      (reply.key, reply.id) = (config.agent_id.repairedText, config.id.repairedText)
      reply.content = config.description.repairedText
    }
  }

  package func prompt(
    _ key: PromptKey, _ variant: Variant = .active, subject: String = "", _ options: Options = Options()
  ) throws -> LookupReply {
    let request = arena.make(configlookup__v1__get_prompt_request__init) { request in
      switch key {
      case .agentID(let text):
        request.selector_case = CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_AGENT_ID
        request.agent_id = arena.bytes(text)
      case .promptID(let text):
        request.selector_case = CONFIGLOOKUP__V1__GET_PROMPT_REQUEST__SELECTOR_PROMPT_ID
        request.prompt_id = arena.bytes(text)
      case .none: break
      }
      request.variant = Configlookup__V1__PromptVariant(rawValue: variant.rawValue)
      request.subject = arena.bytes(subject)
      request.options = self.options(options)
    }
    return try lookup("GetPrompt", request, configlookup__v1__get_prompt_response__unpack) { message, reply in
      reply.setMetadata(message.pointee.metadata)
      reply.setValue(message.pointee.prompt)
      reply.variant = Variant(rawValue: message.pointee.variant.rawValue)
      reply.testID = message.pointee.test_id.repairedText
      guard let prompt = message.pointee.prompt?.pointee else { return }
      (reply.key, reply.id) = (prompt.agent_id.repairedText, prompt.id.repairedText)
      reply.content = prompt.content?.pointee.template_.repairedText ?? ""
    }
  }

  package func source(_ key: SourceKey, _ options: Options = Options()) throws -> LookupReply {
    let request = arena.make(configlookup__v1__get_source_config_request__init) { request in
      switch key {
      case .sourceID(let text):
        request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_SOURCE_ID
        request.source_id = arena.bytes(text)
      case .container(let text):
        request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_CONTAINER
        request.container = arena.bytes(text)
      case .aiAgentID(let text):
        request.selector_case = CONFIGLOOKUP__V1__GET_SOURCE_CONFIG_REQUEST__SELECTOR_AI_AGENT_ID
        request.ai_agent_id = arena.bytes(text)
      case .none: break
      }
      request.options = self.options(options)
    }
    return try lookup("GetSourceConfig", request, configlookup__v1__get_source_config_response__unpack) {
      message, reply in
      reply.setMetadata(message.pointee.metadata)
      reply.setSource(message.pointee.config)
      for index in 0..<message.pointee.n_other_source_ids {
        reply.others.append(message.pointee.other_source_ids[index].repairedText)
      }
    }
  }

  package func resolve(_ container: String, _ path: String, _ options: Options = Options()) throws -> LookupReply {
    let request = arena.make(configlookup__v1__resolve_blob_request__init) {
      $0.container = arena.bytes(container)
      $0.path = arena.bytes(path)
      $0.options = self.options(options)
    }
    return try lookup("ResolveBlob", request, configlookup__v1__resolve_blob_response__unpack) { message, reply in
      reply.setMetadata(message.pointee.metadata)
      reply.setSource(message.pointee.config)
      for index in 0..<message.pointee.n_fields {
        guard let field = message.pointee.fields[index]?.pointee else { continue }
        reply.fields[field.key.repairedText] = field.value.repairedText
      }
    }
  }

  // MARK: Beneath

  /// Makes a call; `read` is given the response where the status is OK.
  package func call<Request, Response>(
    _ method: String, _ request: UnsafeMutablePointer<Request>, _ unpack: Unpack<Response>,
    _ read: (UnsafePointer<Response>) -> Void
  ) throws -> RPCClientReply {
    let reply = try rpc.call(method, ProtobufArena.pack(UnsafePointer(request)))
    arena.reset()
    if reply.status.code == .ok {
      try reply.payload.withUnsafeBytes { try arena.withUnpacked($0, by: unpack, limit: .max, read) }
    }
    return reply
  }

  private func lookup<Request, Response>(
    _ method: String, _ request: UnsafeMutablePointer<Request>, _ unpack: Unpack<Response>,
    _ read: (UnsafePointer<Response>, inout LookupReply) -> Void
  ) throws -> LookupReply {
    var result = LookupReply(printsValue: printsValues)
    let reply = try call(method, request, unpack) { read($0, &result) }
    result.status = reply.status
    result.replyMetadata = reply.metadata
    return result
  }

  private func options(_ options: Options) -> UnsafeMutablePointer<Configlookup__V1__LookupOptions> {
    arena.make(configlookup__v1__lookup_options__init) {
      $0.if_none_match = arena.bytes(options.ifNoneMatch)
      $0.min_revision = options.minRevision
      $0.epoch = arena.bytes(options.epoch)
      $0.max_staleness_ms = options.maxStalenessMilliseconds
    }
  }
}

/// What a lookup answered.
package struct LookupReply {
  fileprivate let printsValue: Bool
  package var status = RPCStatus.ok
  /// Beside the reply, in its frame.
  package var replyMetadata = RPCMetadata()
  package var hasValue = false
  package var key = ""
  package var id = ""
  /// The field that tests change: an agent's description, a prompt's template, a source's description.
  package var content = ""
  /// The whole value.
  package var text = ""
  package var variant: TestClient.Variant?
  package var testID = ""
  package var others: [String] = []
  package var fields: [String: String] = [:]

  package var revision: UInt64 = 0
  package var etag = ""
  package var isNotModified = false
  package var isStale = false
  package var ageMilliseconds: UInt64 = 0
  package var maxAgeSeconds: UInt32 = 0
  package var observedRevision: UInt64 = 0
  package var epoch = ""

  package var code: RPCStatus.Code { status.code }

  fileprivate init(printsValue: Bool) {
    self.printsValue = printsValue
  }

  mutating func setMetadata(_ pointer: UnsafeMutablePointer<Configlookup__V1__LookupMetadata>?) {
    guard let metadata = pointer?.pointee else { return }
    revision = metadata.revision
    etag = metadata.etag.repairedText
    isNotModified = metadata.not_modified != 0
    isStale = metadata.stale != 0
    ageMilliseconds = metadata.age_ms
    maxAgeSeconds = metadata.max_age_seconds
    observedRevision = metadata.observed_revision
    epoch = metadata.epoch.repairedText
  }

  mutating func setValue<Value>(_ pointer: UnsafeMutablePointer<Value>?) {
    hasValue = pointer != nil
    if printsValue { text = pointer.map { MessagePrinter().text(UnsafePointer($0)) } ?? "" }
  }

  mutating func setSource(_ pointer: UnsafeMutablePointer<Configlookup__V1__SourceConfig>?) {
    setValue(pointer)
    guard let config = pointer?.pointee else { return }
    (key, id, content) = (
      config.source_id.repairedText, config.source_id.repairedText, config.description.repairedText
    )
  }
}
