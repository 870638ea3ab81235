internal import CConfigLookupProto
internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC

private let defaultProgressMilliseconds: UInt32 = 10_000
private let minimumProgressMilliseconds: UInt32 = 10

extension LookupService {
  func watchInvalidations(
    _ request: borrowing RPCRequest, _ writer: any RPCStreamWriter, _ reply: inout RPCReply
  ) throws(RPCStatus) -> any RPCStreamHandler {
    try request.require(.watch)
    let state = state(request)
    try requireWarm()
    // Workers that ask at the same moment may pass it by one each.
    guard subscriberCount < options.maximumSubscribers else {
      let message = "\(options.maximumSubscribers) watches are open on this server"
      report.reached(.subscribers, message)
      throw RPCStatus(
        .resourceExhausted, "\(message): go to another, or try again later", detail: .retry(afterSeconds: 5))
    }
    // Of the caches, the one that is behind: a watch is about all of them.
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
      try wishes(message, request, state), lane: state.lane, hub: hub, writer: writer,
      maximumQueuedKeys: options.maximumQueuedKeys, report: report)
    session.start()
    return session
  }

  private func wishes(
    _ message: Configlookup__V1__WatchInvalidationsRequest, _ request: borrowing RPCRequest, _ state: WorkerState
  ) throws(RPCStatus) -> WatchSession.Wishes {
    var entities: [ServedEntity] = []
    for index in 0..<message.n_entities {
      let value = message.entities[index]
      guard let entity = ServedEntity(wireValue: value.rawValue) else {
        throw RPCStatus.invalid("entities.\(index)", "\(value.rawValue) is no entity")
      }
      try request.require(entity.readRight)
      if !entities.contains(entity) { entities.append(entity) }
    }
    // All, to a caller, are all that it may read.
    if entities.isEmpty { entities = try request.readableEntities() }
    var progress = message.progress_interval_ms
    if progress == 0 { progress = defaultProgressMilliseconds }
    if progress < minimumProgressMilliseconds {
      throw RPCStatus.invalid("progress_interval_ms", "\(progress) is below \(minimumProgressMilliseconds)")
    }
    let keys = try checkedKeys(message.keys, message.n_keys, "keys")
    let prefixes = try checkedKeys(message.key_prefixes, message.n_key_prefixes, "key_prefixes")
    let start = Revision(message.start_revision)
    let isOfAnotherEpoch =
      !message.epoch.isEmpty && !state.epoch.utf8.elementsEqual(message.epoch.buffer)
    return WatchSession.Wishes(
      filter: WatchFilter(
        entities: entities, keys: Set(keys), prefixes: prefixes),
      identity: request.identity, includesValues: message.include_values != 0,
      sendsInitialState: message.send_initial_state != 0,
      progressSeconds: Double(progress) / 1000, start: start == .none ? nil : start,
      isStartForeign: isOfAnotherEpoch || entities.allSatisfy { caches[$0.rawValue].reader.isInTheFuture(start) })
  }

  private func checkedKeys(
    _ list: UnsafeMutablePointer<ProtobufCBinaryData>?, _ count: Int, _ field: String
  ) throws(RPCStatus) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    guard let list else { return keys }
    for index in 0..<count { keys.append(Array(try checkedKey(list[index], "\(field).\(index)"))) }
    return keys
  }
}
