// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages

extension LookupService {
  /// Checks whether an answer is as new as the caller asks for.
  ///
  /// - Parameters:
  ///   - options: the conditions of the lookup.
  ///   - view: the cache; it was read before the answer was looked up.
  ///   - reached: the revision that the key itself has reached, if the answer depends on one key only: a key's own
  ///     change is applied before it is known that no other change shares its cluster time.
  ///   - key: that key; its next change ends the waiting, too.
  ///   - state: the state of the worker.
  /// - Returns: nil if the answer is new enough, otherwise what to wait for.
  /// - Throws: FAILED_PRECONDITION if the revision is of another epoch or in the future; RESOURCE_EXHAUSTED if too many
  ///   calls wait.
  func waitIfNeeded(
    _ options: LookupOptions, _ view: CacheView, reached: Revision?,
    on key: (space: UInt8, bytes: UnsafeRawBufferPointer)? = nil, _ state: WorkerState
  ) throws(RPCStatus) -> RPCWait? {
    let wanted = options.minimumRevision
    guard wanted > .none else { return nil }
    if !options.epoch.isEmpty, !state.epoch.utf8.elementsEqual(options.epoch) {
      throw RPCStatus(
        .epochMismatch,
        "options.epoch: min_revision belongs to another epoch; discard cached values and look up without it",
        metadata: ["epoch": state.epoch])
    }
    if view.observed >= wanted { return nil }
    if let reached, reached >= wanted { return nil }
    if view.reader.isInTheFuture(wanted) {
      throw RPCStatus(.minRevisionInFuture, "options.min_revision: \(wanted) is in the future")
    }
    let limit = state.shard.waiters.limit
    guard limit.count < limit.maximum else {
      let message = "\(limit.maximum) lookups are waiting on this server for their options.min_revision"
      report.recordRejection(.waitingCalls, message)
      throw RPCStatus(
        .waitingCallsLimit, "\(message): use another server, or try again later", retryDelay: .seconds(1),
        metadata: ["limit": ServerLimit.waitingCalls.rawValue, "maximum": "\(limit.maximum)"])
    }
    let (waiters, entity) = (state.shard.waiters, view.entity)
    let lookupKey = key.map { LookupKey(bytes: Array($0.bytes), space: $0.space) }
    let wait = self.options.maximumRevisionWait * state.nextWaitShare()
    return RPCWait(
      deadline: .now.advanced(by: wait),
      expired: RPCStatus(
        .minRevisionNotReached,
        "options.min_revision: this server has not observed \(wanted) yet; try again, or use another server"),
      begin: { [shard = state.shard] ready in
        let waiter = waiters.add(wanted, entity, lookupKey, ready)
        // The revision may have been observed since the check.
        shard.wakeWaiters()
        return waiter
      })
  }
}
