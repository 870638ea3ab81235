internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC

extension LookupService {
  /// Whether the answer is as new as the caller asks for: nil if it is, else what to wait for. Never an older one.
  ///
  /// `view` was taken before the answer was looked up. `reached` is the revision that the key itself has reached, where
  /// the answer hangs on one key only: a key's own change is applied before it is known that no other key's shares
  /// its cluster time.
  func waitIfNeeded(
    _ options: LookupOptions, _ view: CacheView, reached: Revision?, _ state: WorkerState
  ) throws(RPCStatus) -> RPCWait? {
    let wanted = options.minimumRevision
    guard wanted > .none else { return nil }
    if !options.epoch.isEmpty, !state.epoch.utf8.elementsEqual(options.epoch) {
      throw RPCStatus(
        .failedPrecondition, "options.epoch: min_revision is of another database; look up without it, and start anew")
    }
    if view.observed >= wanted { return nil }
    if let reached, reached >= wanted { return nil }
    if view.reader.isInTheFuture(wanted) {
      throw RPCStatus(.failedPrecondition, "options.min_revision: \(wanted) lies in the future")
    }
    let (lane, entity) = (state.lane, view.entity)
    return RPCWait(
      deadline: .now.advanced(bySeconds: self.options.maximumRevisionWaitSeconds),
      expired: RPCStatus(
        .unavailable, "options.min_revision: this server has not observed \(wanted) yet; try again, or another server"),
      begin: { ready in lane.wait(for: wanted, of: entity, ready) })
  }
}
