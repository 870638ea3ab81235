internal import CConfigLookupProto
internal import Core
package import Network
package import ProtobufMessages
package import RPC
internal import TestSupport

/// An open `WatchInvalidations` on a connection of its own.
package final class Watch {
  package struct Request {
    /// 1 agent config, 2 prompt, 3 source config.
    package var entities: [UInt32] = []
    package var keys: [String] = []
    package var prefixes: [String] = []
    package var startRevision: UInt64 = 0
    package var epoch = ""
    package var sendsInitialState = false
    package var includesValues = false
    /// Long: a test that wants PROGRESS asks for it.
    package var progressMilliseconds: UInt32

    package init(
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

  package let rpc: any RPCClient
  private let call: UInt32
  private let arena = ProtobufArena()

  package convenience init(
    _ address: HostAndPort, _ request: Request = Request(), over transport: Transport = .frames
  ) throws {
    try self.init(transport.connect(address), request)
  }

  /// On a connection that is there.
  package init(_ rpc: any RPCClient, _ request: Request = Request()) throws {
    self.rpc = rpc
    call = try rpc.openStream("WatchInvalidations", request.encoded(arena))
  }

  /// Opens a watch and takes its first notice, which must be a PROGRESS: what is written after this is announced.
  package static func open(
    _ address: HostAndPort, _ request: Request = Request(), over transport: Transport = .frames
  ) throws -> Watch {
    let watch = try Watch(address, request, over: transport)
    let first = try watch.next()
    guard first.kind == .progress else { throw TestFailure("the first notice is \(first)") }
    return watch
  }

  /// The next notice. Throws when there is none in time or the stream ends.
  package func next(timeoutSeconds: Double = 120) throws -> WatchNotice {
    let reply = try rpc.nextReply(call, deadline: soon(timeoutSeconds))
    guard reply.more else { throw reply.status }
    return try reply.payload.withUnsafeBytes {
      try arena.withUnpacked($0, by: configlookup__v1__invalidation_notice__unpack, limit: .max) {
        WatchNotice($0.pointee)
      }
    }
  }

  /// The next notice that is no PROGRESS.
  package func nextChange(timeoutSeconds: Double = 120) throws -> WatchNotice {
    while true {
      let notice = try next(timeoutSeconds: timeoutSeconds)
      if notice.kind != .progress { return notice }
    }
  }

  /// The next notices that are no PROGRESS.
  package func nextChanges(_ count: Int) throws -> [WatchNotice] {
    try (0..<count).map { _ in try nextChange() }
  }

  /// All changes up to that of `key`, without it.
  package func changes(before key: String) throws -> [WatchNotice] {
    var changes: [WatchNotice] = []
    while true {
      let notice = try nextChange()
      if notice.key == key { return changes }
      changes.append(notice)
    }
  }

  /// How the stream ends; what still comes before that is given, too.
  package func end() throws -> (notices: [WatchNotice], status: RPCStatus) {
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
  package func encoded(_ arena: ProtobufArena) -> [UInt8] {
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

/// An `InvalidationNotice`.
package struct WatchNotice: Equatable {
  package enum Kind: UInt32 {
    case unspecified, upsert, delete, resync, progress
  }

  package var kind: Kind
  package var entity: UInt32
  package var key: String
  package var cacheKey: String
  package var selector: String
  package var revision: UInt64
  package var itemID: String
  package var epoch: String
  package var reason: String
  package var committedAt: Int64
  package var etag: String
  package var previousETag: String
  /// The value's changing field (see ``LookupReply/content``), where it came.
  package var content: String?

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
