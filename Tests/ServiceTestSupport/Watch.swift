// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
public import ConfigLookupNetwork
public import ConfigLookupRPC
public import ProtobufMessages
internal import TestSupport

/// An open `WatchInvalidations` call on a connection of its own. One thread.
public final class Watch {
  /// The message `WatchInvalidationsRequest`.
  public struct Request: Sendable {
    /// The entities: 1 for agent configs, 2 for prompts, 3 for source configs. None for all.
    public var entities: [UInt32] = []
    /// The keys.
    public var keys: [String] = []
    /// The key prefixes.
    public var prefixes: [String] = []
    /// The start revision; 0 for the present.
    public var startRevision: UInt64 = 0
    /// The epoch of the start.
    public var epoch = ""
    /// Whether the initial state is sent.
    public var sendsInitialState = false
    /// Whether notices carry values.
    public var includesValues = false
    /// The progress interval. It is long by default: a test that needs PROGRESS sets it.
    public var progressMilliseconds: UInt32

    /// Makes a request.
    ///
    /// - Parameters:
    ///   - entities: the entities; none for all.
    ///   - keys: the keys.
    ///   - prefixes: the key prefixes.
    ///   - startRevision: the start revision; 0 for the present.
    ///   - epoch: the epoch of the start.
    ///   - sendsInitialState: whether the initial state is sent.
    ///   - includesValues: whether notices carry values.
    ///   - progressMilliseconds: the progress interval.
    public init(
      entities: [UInt32] = [], keys: [String] = [], prefixes: [String] = [], startRevision: UInt64 = 0,
      epoch: String = "", sendsInitialState: Bool = false, includesValues: Bool = false,
      progressMilliseconds: UInt32 = 60_000
    ) {
      self.entities = entities
      self.keys = keys
      self.prefixes = prefixes
      self.startRevision = startRevision
      self.epoch = epoch
      self.sendsInitialState = sendsInitialState
      self.includesValues = includesValues
      self.progressMilliseconds = progressMilliseconds
    }
  }

  /// The connection.
  public let rpc: any RPCClient
  private let call: UInt32
  private let arena = ProtobufArena()

  /// Connects to a server and opens a watch.
  ///
  /// - Parameters:
  ///   - address: the address of the server.
  ///   - request: the request.
  ///   - transport: the protocol.
  /// - Throws: the error of the connection.
  public convenience init(
    _ address: HostAndPort, _ request: Request = Request(), over transport: Transport = .frames
  ) throws {
    try self.init(transport.connect(address), request)
  }

  /// Opens a watch on an open connection.
  ///
  /// - Parameters:
  ///   - rpc: the connection.
  ///   - request: the request.
  /// - Throws: the error of the connection.
  public init(_ rpc: any RPCClient, _ request: Request = Request()) throws {
    self.rpc = rpc
    call = try rpc.openStream("WatchInvalidations", request.encoded(arena))
  }

  /// Opens a watch and takes its first notice, which must be a PROGRESS: every write after the return of this function
  /// is announced.
  ///
  /// - Parameters:
  ///   - address: the address of the server.
  ///   - request: the request.
  ///   - transport: the protocol.
  /// - Returns: the watch.
  /// - Throws: ``TestFailure`` if the first notice is another one; the error of the connection.
  public static func open(
    _ address: HostAndPort, _ request: Request = Request(), over transport: Transport = .frames
  ) throws -> Watch {
    let watch = try Watch(address, request, over: transport)
    let first = try watch.next()
    guard first.kind == .progress else { throw TestFailure("the first notice is \(first)") }
    return watch
  }

  /// Waits for the next notice.
  ///
  /// - Parameter timeout: the time to wait.
  /// - Returns: the notice.
  /// - Throws: the status if the stream ends; an error if no notice arrives in time.
  public func next(timeout: Duration = .seconds(120)) throws -> WatchNotice {
    let reply = try rpc.nextReply(call, deadline: soon(timeout))
    guard reply.more else { throw reply.status }
    return try reply.payload.withUnsafeBytes {
      try arena.withUnpacked($0, by: configlookup__v1__invalidation_notice__unpack, limit: .max) {
        WatchNotice($0.pointee)
      }
    }
  }

  /// Waits for the next notice that is not a PROGRESS.
  ///
  /// - Parameter timeout: the time to wait for each notice.
  /// - Returns: the notice.
  /// - Throws: the same as ``next(timeout:)``.
  public func nextChange(timeout: Duration = .seconds(120)) throws -> WatchNotice {
    while true {
      let notice = try next(timeout: timeout)
      if notice.kind != .progress { return notice }
    }
  }

  /// Waits for the next notices that are not PROGRESS.
  ///
  /// - Parameter count: their number.
  /// - Returns: the notices.
  /// - Throws: the same as ``next(timeout:)``.
  public func nextChanges(_ count: Int) throws -> [WatchNotice] {
    try (0..<count).map { _ in try nextChange() }
  }

  /// Waits for a notice of a key.
  ///
  /// - Parameter key: the key.
  /// - Returns: the changes before that notice.
  /// - Throws: the same as ``next(timeout:)``.
  public func changes(before key: String) throws -> [WatchNotice] {
    var changes: [WatchNotice] = []
    while true {
      let notice = try nextChange()
      if notice.key == key { return changes }
      changes.append(notice)
    }
  }

  /// Waits for the end of the stream.
  ///
  /// - Returns: the notices before the end, and the status.
  /// - Throws: an error if the stream does not end in time.
  public func end() throws -> (notices: [WatchNotice], status: RPCStatus) {
    var notices: [WatchNotice] = []
    while true {
      do {
        notices.append(try next())
      } catch let status as RPCStatus {
        return (notices, status)
      }
    }
  }
}

extension Watch.Request {
  /// Encodes the request.
  ///
  /// - Parameter arena: the memory to use.
  /// - Returns: the encoded message.
  public func encoded(_ arena: ProtobufArena) -> [UInt8] {
    let request = arena.make(configlookup__v1__watch_invalidations_request__init) { request in
      request.n_entities = entities.count
      request.entities = arena.values(entities.map(Configlookup__V1__Entity.init(rawValue:)))
      request.n_keys = keys.count
      request.keys = arena.texts(keys)
      request.n_key_prefixes = prefixes.count
      request.key_prefixes = arena.texts(prefixes)
      request.start_revision = startRevision
      request.epoch = arena.bytes(epoch)
      request.send_initial_state = sendsInitialState ? 1 : 0
      request.include_values = includesValues ? 1 : 0
      request.progress_interval_ms = progressMilliseconds
    }
    return ProtobufArena.pack(UnsafePointer(request))
  }
}

/// The message `InvalidationNotice`.
public struct WatchNotice: Equatable, Sendable {
  /// The enum `NoticeKind` of the protocol.
  public enum Kind: UInt32, Sendable {
    /// The values in the order of their numbers.
    case unspecified, upsert, delete, resync, progress
  }

  /// The field `kind`.
  public var kind: Kind
  /// The field `entity`.
  public var entity: UInt32
  /// The field `key`.
  public var key: String
  /// The field `cache_key`.
  public var cacheKey: String
  /// The field `selector`.
  public var selector: String
  /// The field `revision`.
  public var revision: UInt64
  /// The field `item_id`.
  public var itemID: String
  /// The field `epoch`.
  public var epoch: String
  /// The field `reason`.
  public var reason: String
  /// The field `committed_at`, in milliseconds since 1970; 0 if it is not set.
  public var committedAt: Int64
  /// The field `etag`.
  public var etag: String
  /// The field `previous_etag`.
  public var previousETag: String
  /// The field of the value that tests change (see ``LookupReply/content``); nil without a value.
  public var content: String?

  init(_ message: Configlookup__V1__InvalidationNotice) {
    kind = Kind(rawValue: message.kind.rawValue) ?? .unspecified
    entity = message.entity.rawValue
    key = message.key.repairedText
    cacheKey = message.cache_key.repairedText
    selector = message.selector.repairedText
    revision = message.revision
    itemID = message.item_id.repairedText
    epoch = message.epoch.repairedText
    reason = message.reason.repairedText
    committedAt = milliseconds(message.committed_at)
    etag = message.etag.repairedText
    previousETag = message.previous_etag.repairedText
    switch message.value_case {
    case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_AGENT_CONFIG:
      content = message.agent_config?.pointee.description.repairedText
    case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_PROMPT:
      content = message.prompt?.pointee.content?.pointee.template_.repairedText
    case CONFIGLOOKUP__V1__INVALIDATION_NOTICE__VALUE_SOURCE_CONFIG:
      content = message.source_config?.pointee.description.repairedText
    default: content = nil
    }
  }
}
