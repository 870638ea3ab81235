internal import Core

/// Where a cache's news go. Called under the engine's lock: must be quick, must not call back.
struct InvalidationOutlet: Sendable {
  /// The notices of one step, in order.
  let onInvalidation: @Sendable ([Invalidation]) -> Void
  /// Every change after this revision will be announced; of those before it some may have gone unseen.
  var onHistoryStart: @Sendable (Revision) -> Void = { _ in }
  /// From this revision on every key whose answer changed before history started is among these. Nil: nobody asks.
  var onEarlierHistory: (@Sendable (Revision, [Invalidation]) -> Void)?
}
