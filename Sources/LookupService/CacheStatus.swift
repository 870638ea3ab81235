// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ChangeStreamCache
internal import ConfigLookupCore
public import ConfigLookupRPC
internal import ProtobufMessages

extension LookupService {
  /// Writes the health of each cache that the caller may read; for an administrator, of all caches. Also answers before
  /// the caches are warm, because that is when operators need it.
  func getCacheStatus(_ request: borrowing RPCRequest, _ reply: inout RPCReply) throws(RPCStatus) {
    let state = state(request)
    _ = try unpack(request, state, configlookup__v1__get_cache_status_request__unpack)
    let isAdmin = try request.identity?.caller().has(.admin) ?? true
    let entities = isAdmin ? ServedEntity.allCases : try request.readableEntities()
    for entity in entities {
      let health = caches[entity.rawValue].health()
      ProtobufWriter.message(UInt32(entity.rawValue + 1), to: &reply.head) { writeHealth(health, to: &$0) }
    }
    if isWarm { ProtobufWriter.string(4, state.epoch, to: &reply.head) }
  }

  /// Requests caches to reload their collections now.
  func invalidateCache(_ request: borrowing RPCRequest, _ reply: inout RPCReply) throws(RPCStatus) {
    let state = state(request)
    let message = try unpack(request, state, configlookup__v1__invalidate_cache_request__unpack).pointee
    var entity: ServedEntity?
    if message.entity.rawValue != 0 {
      entity = ServedEntity(wireValue: message.entity.rawValue)
      if entity == nil { throw RPCStatus.invalid("entity", "\(message.entity.rawValue) is not a known entity") }
    }
    let request = reload(entity, askedBy: try request.identity?.caller())
    ProtobufWriter.message(1, to: &reply.head) { out in
      for entity in request.entities { ProtobufWriter.varint(entity.wireValue, to: &out) }
    }
    ProtobufWriter.unsigned(2, request.startsAfterMilliseconds, to: &reply.head)
  }

  /// The result of a request for a reload.
  public struct RequestedReload: Sendable {
    /// The caches that will be reloaded.
    public let entities: [ServedEntity]
    /// The minimum time until the last of them begins to read. Manual reloads are some seconds apart; requests in
    /// between share the next one.
    public let startsAfter: Duration

    /// ``startsAfter`` in milliseconds, rounded up.
    public var startsAfterMilliseconds: UInt64 { UInt64((startsAfter / .milliseconds(1)).rounded(.up)) }
  }

  /// Requests a reload of one cache or of all of them, and logs the name of the caller. Any thread.
  ///
  /// - Parameters:
  ///   - entity: the cache; nil for all caches.
  ///   - caller: the caller, for the log; nil if no credentials are configured.
  /// - Returns: the caches, and the time until the reload begins.
  @discardableResult
  public func reload(_ entity: ServedEntity?, askedBy caller: RPCCaller?) -> RequestedReload {
    let entities = entity.map { [$0] } ?? ServedEntity.allCases
    let startsAfter = entities.map { caches[$0.rawValue].reload() }.max() ?? .zero
    let request = RequestedReload(entities: entities, startsAfter: startsAfter)
    reloadLog.log(
      .info, "cache_invalidated", reason: caller?.name ?? "",
      "An administrator requested a reload of the caches",
      [
        "caches": .string(entities.map(\.name).joined(separator: ",")), "credential": .string(caller?.name ?? ""),
        "starts_after_ms": .unsigned(request.startsAfterMilliseconds),
      ])
    return request
  }
}

/// `CacheStatus`.
private func writeHealth(_ health: CacheHealth, to out: inout [UInt8]) {
  ProtobufWriter.unsigned(1, UInt64(health.size), to: &out)
  ProtobufWriter.double(2, health.age?.seconds ?? 0, to: &out)
  ProtobufWriter.bool(3, health.isStreamActive, to: &out)
  ProtobufWriter.bool(4, health.isValid, to: &out)
  if let loadedAt = health.loadedAt { writeTimestamp(5, loadedAt, to: &out) }
  ProtobufWriter.unsigned(6, health.observedRevision.rawValue, to: &out)
  if let lastChangeAt = health.lastChangeAt { writeTimestamp(7, lastChangeAt, to: &out) }
  ProtobufWriter.unsigned(8, health.reconnects, to: &out)
  ProtobufWriter.unsigned(9, health.resyncs, to: &out)
  ProtobufWriter.unsigned(10, health.drift, to: &out)
  for rejected in health.rejected {
    ProtobufWriter.message(11, to: &out) { out in
      ProtobufWriter.string(1, rejected.itemID, to: &out)
      ProtobufWriter.string(2, rejected.field, to: &out)
      ProtobufWriter.string(3, rejected.problem, to: &out)
    }
  }
  ProtobufWriter.unsigned(12, UInt64(health.rejectedCount), to: &out)
  for conflict in health.conflicts {
    ProtobufWriter.message(13, to: &out) { out in
      ProtobufWriter.string(1, conflict.cacheKey, to: &out)
      ProtobufWriter.string(2, conflict.wins, to: &out)
      ProtobufWriter.string(3, conflict.loses, to: &out)
    }
  }
  ProtobufWriter.unsigned(14, UInt64(health.conflictCount), to: &out)
}

/// Writes a time as a `google.protobuf.Timestamp`.
func writeTimestamp(_ field: UInt32, _ time: WallTime, to out: inout [UInt8]) {
  let (seconds, nanoseconds) = timestamp(time)
  ProtobufWriter.message(field, to: &out) { out in
    ProtobufWriter.unsigned(1, seconds, to: &out)
    ProtobufWriter.unsigned(2, nanoseconds, to: &out)
  }
}

/// The two numbers of a `google.protobuf.Timestamp`, as they are encoded on the wire.
func timestamp(_ time: WallTime) -> (seconds: UInt64, nanoseconds: UInt64) {
  let (seconds, milliseconds) = time.milliseconds.quotientAndRemainder(dividingBy: 1000)
  // Nanoseconds count forward, before 1970 too.
  let isBefore = milliseconds < 0
  return (
    UInt64(bitPattern: isBefore ? seconds - 1 : seconds),
    UInt64(bitPattern: (isBefore ? milliseconds + 1000 : milliseconds) * 1_000_000)
  )
}
