// SPDX-License-Identifier: Apache-2.0
package import CConfigLookupProto
package import ConfigLookupRPC
internal import FramedTransport
internal import ProtobufMessages

/// The reply of a list method: a page.
package struct ListReply {
  /// The status.
  package var status = RPCStatus.ok
  /// The keys of the rows.
  package var keys: [String] = []
  /// Each row as text.
  package var rows: [String] = []
  /// The token of the next page; empty on the last page.
  package var nextToken = ""
  /// The number of rows on all pages.
  package var total = 0
  /// The epoch.
  package var epoch = ""
}

/// The message `CacheStatus`.
package struct CacheStatusReply {
  /// The number of keys.
  package var size: UInt64 = 0
  /// Whether the change stream is active.
  package var isStreamActive = false
  /// Whether the contents are valid.
  package var isValid = false
  /// The time of the last load, in milliseconds since 1970.
  package var loadedAt: Int64 = 0
  /// The time of the last change, in milliseconds since 1970.
  package var lastChangeAt: Int64 = 0
  /// The observed revision.
  package var observedRevision: UInt64 = 0
  /// The number of reconnects.
  package var reconnects: UInt64 = 0
  /// The number of resyncs.
  package var resyncs: UInt64 = 0
  /// The number of keys that drifted.
  package var drift: UInt64 = 0
  /// The rejected documents.
  package var rejected: [(itemID: String, field: String, problem: String)] = []
  /// The number of rejected documents.
  package var rejectedCount: UInt64 = 0
}

/// The reply of `GetCacheStatus`.
package struct StatusReply {
  /// All caches, in the order of the protocol's `Entity`.
  package var caches: [CacheStatusReply] { [agents, prompts, sources] }
  /// The cache of agent configs.
  package var agents = CacheStatusReply()
  /// The cache of prompts.
  package var prompts = CacheStatusReply()
  /// The cache of source configs.
  package var sources = CacheStatusReply()
  /// The epoch.
  package var epoch = ""
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
  package func listAgents(_ size: Int32 = 0, token: String = "", type: String = "") throws -> ListReply {
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
  package func listPrompts(_ size: Int32 = 0, token: String = "") throws -> ListReply {
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
  package func listSources(_ size: Int32 = 0, token: String = "", mode: String = "") throws -> ListReply {
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
  package func status() throws -> StatusReply {
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
  package func invalidate(_ entity: UInt32 = 0) throws -> (status: RPCStatus, entities: [UInt32]) {
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
package func milliseconds(_ pointer: UnsafeMutablePointer<Google__Protobuf__Timestamp>?) -> Int64 {
  guard let time = pointer?.pointee else { return 0 }
  return time.seconds * 1000 + Int64(time.nanos) / 1_000_000
}
