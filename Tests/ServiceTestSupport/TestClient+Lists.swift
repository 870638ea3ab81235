// SPDX-License-Identifier: Apache-2.0
public import CConfigLookupProto
public import ConfigLookupRPC
internal import FramedTransport
internal import ProtobufMessages

/// The reply of a list method: a page.
public struct ListReply: Sendable {
  /// The status.
  public var status = RPCStatus.ok
  /// The keys of the rows.
  public var keys: [String] = []
  /// Each row as text.
  public var rows: [String] = []
  /// The token of the next page; empty on the last page.
  public var nextToken = ""
  /// The number of rows on all pages.
  public var total = 0
  /// The epoch.
  public var epoch = ""
}

/// The message `CacheStatus`.
public struct CacheStatusReply: Sendable {
  /// The number of keys.
  public var size: UInt64 = 0
  /// Whether the change stream is active.
  public var isStreamActive = false
  /// Whether the contents are valid.
  public var isValid = false
  /// The time of the last load, in milliseconds since 1970.
  public var loadedAt: Int64 = 0
  /// The time of the last change, in milliseconds since 1970.
  public var lastChangeAt: Int64 = 0
  /// The observed revision.
  public var observedRevision: UInt64 = 0
  /// The number of reconnects.
  public var reconnects: UInt64 = 0
  /// The number of resyncs.
  public var resyncs: UInt64 = 0
  /// The number of keys that drifted.
  public var drift: UInt64 = 0
  /// The rejected documents.
  public var rejected: [(itemID: String, field: String, problem: String)] = []
  /// The number of rejected documents.
  public var rejectedCount: UInt64 = 0
}

/// The reply of `GetCacheStatus`.
public struct StatusReply: Sendable {
  /// All caches, in the order of the protocol's `Entity`.
  public var caches: [CacheStatusReply] { [agents, prompts, sources] }
  /// The cache of agent configs.
  public var agents = CacheStatusReply()
  /// The cache of prompts.
  public var prompts = CacheStatusReply()
  /// The cache of source configs.
  public var sources = CacheStatusReply()
  /// The epoch.
  public var epoch = ""
}

extension TestClient {
  /// Calls `ListAgentConfigs`.
  ///
  /// - Parameters:
  ///   - size: the page size; 0 for the default.
  ///   - token: the page token.
  ///   - type: the filter; empty for all types.
  /// - Returns: the page, or the error status.
  /// - Throws: the error of the connection.
  public func listAgents(_ size: Int32 = 0, token: String = "", type: String = "") throws -> ListReply {
    var list = ListReply()
    let request = arena.make(configlookup__v1__list_agent_configs_request__init) {
      $0.page_size = size
      $0.page_token = arena.bytes(token)
      $0.type = arena.bytes(type)
    }
    let reply = try call("ListAgentConfigs", request, configlookup__v1__list_agent_configs_response__unpack) { page in
      for index in 0..<page.pointee.n_summaries {
        guard let row = page.pointee.summaries[index] else { continue }
        list.keys.append(row.pointee.agent_id.repairedText)
        list.rows.append(MessagePrinter().json(UnsafePointer(row)))
      }
      list.nextToken = page.pointee.next_page_token.repairedText
      list.total = Int(page.pointee.total_count)
      list.epoch = page.pointee.metadata?.pointee.epoch.repairedText ?? ""
    }
    list.status = reply.status
    return list
  }

  /// Calls `ListPrompts`.
  ///
  /// - Parameters:
  ///   - size: the page size; 0 for the default.
  ///   - token: the page token.
  /// - Returns: the page, or the error status.
  /// - Throws: the error of the connection.
  public func listPrompts(_ size: Int32 = 0, token: String = "") throws -> ListReply {
    var list = ListReply()
    let request = arena.make(configlookup__v1__list_prompts_request__init) {
      $0.page_size = size
      $0.page_token = arena.bytes(token)
    }
    let reply = try call("ListPrompts", request, configlookup__v1__list_prompts_response__unpack) { page in
      for index in 0..<page.pointee.n_summaries {
        guard let row = page.pointee.summaries[index] else { continue }
        list.keys.append(row.pointee.agent_id.repairedText)
        list.rows.append(MessagePrinter().json(UnsafePointer(row)))
      }
      list.nextToken = page.pointee.next_page_token.repairedText
      list.total = Int(page.pointee.total_count)
      list.epoch = page.pointee.metadata?.pointee.epoch.repairedText ?? ""
    }
    list.status = reply.status
    return list
  }

  /// Calls `ListSourceConfigs`.
  ///
  /// - Parameters:
  ///   - size: the page size; 0 for the default.
  ///   - token: the page token.
  ///   - mode: the filter; empty for all ingestion modes.
  /// - Returns: the page, or the error status.
  /// - Throws: the error of the connection.
  public func listSources(_ size: Int32 = 0, token: String = "", mode: String = "") throws -> ListReply {
    var list = ListReply()
    let request = arena.make(configlookup__v1__list_source_configs_request__init) {
      $0.page_size = size
      $0.page_token = arena.bytes(token)
      $0.ingestion_mode = arena.bytes(mode)
    }
    let reply = try call("ListSourceConfigs", request, configlookup__v1__list_source_configs_response__unpack) { page in
      for index in 0..<page.pointee.n_summaries {
        guard let row = page.pointee.summaries[index] else { continue }
        list.keys.append(row.pointee.source_id.repairedText)
        list.rows.append(MessagePrinter().json(UnsafePointer(row)))
      }
      list.nextToken = page.pointee.next_page_token.repairedText
      list.total = Int(page.pointee.total_count)
      list.epoch = page.pointee.metadata?.pointee.epoch.repairedText ?? ""
    }
    list.status = reply.status
    return list
  }

  /// Calls `GetCacheStatus`.
  ///
  /// - Returns: the status of all caches.
  /// - Throws: the status of the call unless it is OK; the error of the connection.
  public func status() throws -> StatusReply {
    var result = StatusReply()
    let request = arena.make(configlookup__v1__get_cache_status_request__init) { _ in }
    let reply = try call("GetCacheStatus", request, configlookup__v1__get_cache_status_response__unpack) { message in
      result.agents = read(message.pointee.agent_config)
      result.prompts = read(message.pointee.prompt)
      result.sources = read(message.pointee.source_config)
      result.epoch = message.pointee.epoch.repairedText
    }
    guard reply.status.code == .ok else { throw reply.status }
    return result
  }

  /// Calls `InvalidateCache`.
  ///
  /// - Parameter entity: the entity, 1 to 3; 0 for all.
  /// - Returns: the status, and the entities that are reloaded.
  /// - Throws: the error of the connection.
  public func invalidate(_ entity: UInt32 = 0) throws -> (status: RPCStatus, entities: [UInt32]) {
    var entities: [UInt32] = []
    let request = arena.make(configlookup__v1__invalidate_cache_request__init) {
      $0.entity = Configlookup__V1__Entity(rawValue: entity)
    }
    let reply = try call(
      "configlookup.v1.ConfigLookupAdmin/InvalidateCache", request, configlookup__v1__invalidate_cache_response__unpack
    ) { message in
      for index in 0..<message.pointee.n_entities { entities.append(message.pointee.entities[index].rawValue) }
    }
    return (reply.status, entities)
  }

  private func read(_ pointer: UnsafeMutablePointer<Configlookup__V1__CacheStatus>?) -> CacheStatusReply {
    guard let status = pointer?.pointee else { return CacheStatusReply() }
    var result = CacheStatusReply()
    result.size = status.cache_size
    result.isStreamActive = status.change_stream_active != 0
    result.isValid = status.cache_valid != 0
    result.loadedAt = milliseconds(status.loaded_at)
    result.lastChangeAt = milliseconds(status.last_change_at)
    result.observedRevision = status.observed_revision
    result.reconnects = status.reconnects
    result.resyncs = status.resyncs
    result.drift = status.drift
    result.rejectedCount = status.rejected_count
    for index in 0..<status.n_rejected {
      guard let item = status.rejected[index]?.pointee else { continue }
      result.rejected.append((item.item_id.repairedText, item.field.repairedText, item.problem.repairedText))
    }
    return result
  }
}

/// Converts a timestamp to milliseconds since 1970.
///
/// - Parameter pointer: the timestamp.
/// - Returns: the milliseconds; 0 without a timestamp.
public func milliseconds(_ pointer: UnsafeMutablePointer<Google__Protobuf__Timestamp>?) -> Int64 {
  guard let time = pointer?.pointee else { return 0 }
  return time.seconds * 1000 + Int64(time.nanos) / 1_000_000
}
