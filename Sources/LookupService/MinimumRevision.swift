internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC

extension LookupService {
  /// Whether the answer is as new as the caller asks for: nil if it is, else what to wait for. Never an older one.
  ///
  /// `view` was taken before the answer was looked up. `reached` is the revision that the key itself has reached, where
  /// the answer hangs on one key only: a key's own change is applied before it is known that no other key's shares
  /// its cluster time. `key` is that key: its next change ends the waiting, too.
  func waitIfNeeded(
    _ options: LookupOptions, _ view: CacheView, reached: Revision?,
    on key: (space: UInt8, bytes: UnsafeRawBufferPointer)? = nil, _ state: WorkerState
  ) throws(RPCStatus) -> RPCWait? {
    let wanted = options.minimumRevision
    guard wanted > .none else { return nil }
    if !options.epoch.isEmpty, !state.epoch.utf8.elementsEqual(options.epoch) {
      throw RPCStatus(
        .failedPrecondition,
        "options.epoch: min_revision belongs to another epoch; discard cached values and look up without it")
    }
    if view.observed >= wanted { return nil }
    if let reached, reached >= wanted { return nil }
    if view.reader.isInTheFuture(wanted) {
      throw RPCStatus(.failedPrecondition, "options.min_revision: \(wanted) is in the future")
    }
    let limit = state.shard.waiters.limit
    guard limit.count < limit.maximum else {
      let message = "\(limit.maximum) lookups are waiting on this server for their options.min_revision"
      report.reached(.waitingCalls, message)
      throw RPCStatus(
        .resourceExhausted, "\(message): use another server, or try again later", detail: .retry(afterSeconds: 1))
    }
    let (waiters, entity) = (state.shard.waiters, view.entity)
    let lookupKey = key.map { LookupKey(bytes: Array($0.bytes), space: $0.space) }
    // Spread, so that calls that came together do not end together.
    let seconds = self.options.maximumRevisionWaitSeconds * Double.random(in: 0.9...1)
    return RPCWait(
      deadline: .now.advanced(bySeconds: seconds),
      expired: RPCStatus(
        .unavailable,
        "options.min_revision: this server has not observed \(wanted) yet; try again, or use another server"),
      begin: { [shard = state.shard] ready in
        let waiter = waiters.add(wanted, entity, lookupKey, ready)
        // It may have been observed since the caller looked.
        shard.wakeWaiters()
        return waiter
      })
  }
}
