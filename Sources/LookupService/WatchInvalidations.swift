// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages

private let defaultProgressInterval = Duration.seconds(10)
private let minimumProgressInterval = Duration.milliseconds(10)

extension LookupService {
  func watchInvalidations(
    _ request: borrowing RPCRequest, _ writer: any RPCStreamWriter, _ reply: inout RPCReply
  ) throws(RPCStatus) -> any RPCStreamHandler {
    try request.require(.watch)
    let state = state(request)
    try requireWarm()
    // Workers that check the limit at the same moment may exceed it by one each.
    guard subscriberCount < options.maximumSubscribers else {
      let message = "\(options.maximumSubscribers) watches are open on this server"
      report.recordRejection(.subscribers, message)
      throw RPCStatus(
        .subscribersLimit, "\(message): use another server, or try again later", retryDelay: .seconds(5),
        metadata: ["limit": ServerLimit.subscribers.rawValue, "maximum": "\(options.maximumSubscribers)"])
    }
    // The position in an error reply is that of the cache that is furthest behind, because a watch is about all of
    // them.
    let views = ServedEntity.allCases.map { CacheView($0, caches[$0.rawValue].reader) }
    do throws(RPCStatus) {
      for view in views { try requireFresh(view) }
      return try startWatch(request, writer, state)
    } catch {
      if let view = views.min(by: { $0.observed < $1.observed }) { addPosition(view, state, &reply) }
      throw error
    }
  }

  private func startWatch(
    _ request: borrowing RPCRequest, _ writer: any RPCStreamWriter, _ state: WorkerState
  ) throws(RPCStatus) -> WatchSession {
    let message = try unpack(request, state, configlookup__v1__watch_invalidations_request__unpack).pointee
    let session = WatchSession(
      try watchOptions(message, request, state), shard: state.shard, hub: hub, writer: writer, report: report)
    session.start()
    return session
  }

  private func watchOptions(
    _ message: Configlookup__V1__WatchInvalidationsRequest, _ request: borrowing RPCRequest, _ state: WorkerState
  ) throws(RPCStatus) -> WatchOptions {
    var entities: [ServedEntity] = []
    for index in 0..<message.n_entities {
      let value = message.entities[index]
      guard let entity = ServedEntity(wireValue: value.rawValue) else {
        throw RPCStatus.invalid("entities.\(index)", "\(value.rawValue) is not a known entity")
      }
      if entities.contains(entity) { continue }
      try request.require(entity.readPermission)
      entities.append(entity)
    }
    // For a caller without permission for all entities, no entities means all that it may read.
    if entities.isEmpty { entities = try request.readableEntities() }
    let requested = message.progress_interval_ms
    let interval = requested == 0 ? defaultProgressInterval : .milliseconds(requested)
    if interval < minimumProgressInterval {
      throw RPCStatus.invalid("progress_interval_ms", "\(requested) is below \(minimumProgressInterval.milliseconds)")
    }
    let filter = WatchFilter(
      selectors: try selectors(message, of: entities),
      keys: try checkedKeys(message.keys, message.n_keys, "keys"),
      prefixes: try checkedKeys(message.key_prefixes, message.n_key_prefixes, "key_prefixes"))
    let start = Revision(message.start_revision)
    let isOfAnotherEpoch =
      !message.epoch.isEmpty && !state.epoch.utf8.elementsEqual(message.epoch.buffer)
    return WatchOptions(
      filter: filter, identity: request.identity, includesValues: message.include_values != 0,
      sendsInitialState: message.send_initial_state != 0,
      progressInterval: max(interval, options.minimumProgressInterval),
      start: start == .none ? nil : start,
      isStartForeign: isOfAnotherEpoch || entities.allSatisfy { caches[$0.rawValue].reader.isInTheFuture(start) },
      maximumQueuedKeys: options.maximumQueuedKeys)
  }

  /// The requested selectors of the requested entities; all selectors of these entities if the request has none.
  private func selectors(
    _ message: Configlookup__V1__WatchInvalidationsRequest, of entities: [ServedEntity]
  ) throws(RPCStatus) -> SelectorSet {
    let possible = ServedSelector.all.filter { entities.contains($0.entity) }
    guard message.n_selectors > 0, let names = message.selectors else { return SelectorSet(possible) }
    var wanted: [ServedSelector] = []
    for index in 0..<message.n_selectors {
      let matching = possible.filter { names[index].buffer.elementsEqual($0.name.utf8) }
      guard !matching.isEmpty else {
        var choices: [String] = []
        for selector in possible where !choices.contains(selector.name) { choices.append(selector.name) }
        throw RPCStatus.invalid(
          "selectors.\(index)",
          "\(shown(names[index].buffer)) is not a selector of the requested entities; use one of "
            + choices.joined(separator: ", "), reason: .unknownSelector)
      }
      wanted += matching
    }
    return SelectorSet(wanted)
  }

  private func checkedKeys(
    _ list: UnsafeMutablePointer<ProtobufCBinaryData>?, _ count: Int, _ field: String
  ) throws(RPCStatus) -> [UnsafeRawBufferPointer] {
    var keys: [UnsafeRawBufferPointer] = []
    guard let list else { return keys }
    keys.reserveCapacity(count)
    for index in 0..<count { keys.append(try checkedKey(list[index], "\(field).\(index)")) }
    return keys
  }
}
