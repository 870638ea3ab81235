// SPDX-License-Identifier: Apache-2.0
public import CConfigLookupProto
internal import ConfigLookupCore
public import ConfigLookupNetwork
public import ConfigLookupRPC
public import ProtobufMessages

/// A client that makes every call of the service over one connection, and returns replies as Swift values. One thread.
public final class TestClient {
  /// A generated function that unpacks a message.
  public typealias Unpack<Message> = (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) ->
    UnsafeMutablePointer<Message>?

  /// The connection.
  public let rpc: any RPCClient
  /// The memory of requests and unpacked replies.
  public let arena = ProtobufArena()
  /// Whether replies contain the whole value as text. Printing it takes longer than the call.
  public var printsValues = true

  /// Connects to a server.
  ///
  /// - Parameters:
  ///   - address: the address of the server.
  ///   - transport: the protocol.
  /// - Throws: the error of the connection.
  public init(_ address: HostAndPort, _ transport: Transport = .frames) throws {
    rpc = try transport.connect(address)
  }

  /// Makes a client over an open connection.
  ///
  /// - Parameter rpc: the connection.
  public init(_ rpc: any RPCClient) {
    self.rpc = rpc
  }

  /// The options of a lookup.
  public struct Options: Sendable {
    /// The option `if_none_match`.
    public var ifNoneMatch = ""
    /// The option `min_revision`.
    public var minRevision: UInt64 = 0
    /// The option `epoch`.
    public var epoch = ""
    /// The option `max_staleness_ms`.
    public var maxStalenessMilliseconds: UInt32 = 0

    /// Makes options; all of them are unset by default.
    ///
    /// - Parameters:
    ///   - ifNoneMatch: the option `if_none_match`.
    ///   - minRevision: the option `min_revision`.
    ///   - epoch: the option `epoch`.
    ///   - maxStalenessMilliseconds: the option `max_staleness_ms`.
    public init(
      ifNoneMatch: String = "", minRevision: UInt64 = 0, epoch: String = "", maxStalenessMilliseconds: UInt32 = 0
    ) {
      self.ifNoneMatch = ifNoneMatch
      self.minRevision = minRevision
      self.epoch = epoch
      self.maxStalenessMilliseconds = maxStalenessMilliseconds
    }
  }

  /// A selector of prompts.
  public enum PromptKey: Sendable {
    /// A key by its field, or no selector.
    case agentID(String), promptID(String), none
  }

  /// A selector of source configs.
  public enum SourceKey: Sendable {
    /// A key by its field, or no selector.
    case sourceID(String), container(String), aiAgentID(String), none
  }

  /// The enum `PromptVariant` of the protocol.
  public enum Variant: UInt32, Sendable {
    /// The values in the order of their numbers.
    case unspecified, active, staged, abTest
  }

  /// Calls `GetAgentConfig`.
  ///
  /// - Parameters:
  ///   - agentID: the `agent_id`.
  ///   - options: the options.
  /// - Returns: the reply, whatever its status.
  /// - Throws: the error of the connection.
  public func agent(_ agentID: String, _ options: Options = Options()) throws -> LookupReply {
    try agent(bytes: Array(agentID.utf8), options)
  }

  /// Calls `GetAgentConfig` with a key that need not be UTF-8.
  ///
  /// - Parameters:
  ///   - bytes: the bytes of the `agent_id`.
  ///   - options: the options.
  /// - Returns: the reply, whatever its status.
  /// - Throws: the error of the connection.
  public func agent(bytes: [UInt8], _ options: Options = Options()) throws -> LookupReply {
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

  /// Calls `GetPrompt`.
  ///
  /// - Parameters:
  ///   - key: the selector.
  ///   - variant: the variant.
  ///   - subject: the subject of an A/B test.
  ///   - options: the options.
  /// - Returns: the reply, whatever its status.
  /// - Throws: the error of the connection.
  public func prompt(
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

  /// Calls `GetSourceConfig`.
  ///
  /// - Parameters:
  ///   - key: the selector.
  ///   - options: the options.
  /// - Returns: the reply, whatever its status.
  /// - Throws: the error of the connection.
  public func source(_ key: SourceKey, _ options: Options = Options()) throws -> LookupReply {
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

  /// Calls `ResolveBlob`.
  ///
  /// - Parameters:
  ///   - container: the container.
  ///   - path: the path of the blob.
  ///   - options: the options.
  /// - Returns: the reply, whatever its status.
  /// - Throws: the error of the connection.
  public func resolve(_ container: String, _ path: String, _ options: Options = Options()) throws -> LookupReply {
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

  // MARK: Any call

  /// Makes a call.
  ///
  /// - Parameters:
  ///   - method: the name of the method.
  ///   - request: the request, in the memory of ``arena``, which is emptied.
  ///   - unpack: unpacks the response.
  ///   - read: receives the response if the status is OK.
  /// - Returns: the reply.
  /// - Throws: the error of the connection.
  public func call<Request, Response>(
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

/// The reply of a lookup.
public struct LookupReply: Sendable {
  fileprivate let printsValue: Bool
  /// The status.
  public var status = RPCStatus.ok
  /// The metadata of the reply, which the framed protocol sends in the frame of the reply.
  public var replyMetadata = RPCMetadata()
  /// Whether the reply contains a value.
  public var hasValue = false
  /// The key of the value, by the primary selector.
  public var key = ""
  /// The `id` of the value; of a source config its `source_id`.
  public var id = ""
  /// The field that tests change: an agent's description, a prompt's template, a source's description.
  public var content = ""
  /// The whole value as text; empty unless ``TestClient/printsValues`` is set.
  public var text = ""
  /// The variant of a prompt.
  public var variant: TestClient.Variant?
  /// The id of the A/B test that decided.
  public var testID = ""
  /// The ids of the other source configs that match.
  public var others: [String] = []
  /// The fields of a blob's path.
  public var fields: [String: String] = [:]

  /// The metadata field `revision`.
  public var revision: UInt64 = 0
  /// The metadata field `etag`.
  public var etag = ""
  /// The metadata field `not_modified`.
  public var isNotModified = false
  /// The metadata field `stale`.
  public var isStale = false
  /// The metadata field `age_ms`.
  public var ageMilliseconds: UInt64 = 0
  /// The metadata field `max_age_seconds`.
  public var maxAgeSeconds: UInt32 = 0
  /// The metadata field `observed_revision`.
  public var observedRevision: UInt64 = 0
  /// The metadata field `epoch`.
  public var epoch = ""

  /// The code of the status.
  public var code: RPCStatus.Code { status.code }

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
