// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The closures that receive the events of a cache. They are called under the engine's lock, so they must return
/// quickly and must not call the cache.
struct InvalidationOutlet: Sendable {
  /// Receives the notices of one step, in order.
  let onInvalidation: @Sendable ([Invalidation]) -> Void
  /// Receives a revision. Every change after it will be announced; changes before it may have been missed.
  var onHistoryStart: @Sendable (Revision) -> Void = { _ in }
  /// Receives a revision and notices of earlier history: they contain every key whose answer changed from the revision
  /// on and before the history began. Nil if there is no receiver.
  var onEarlierHistory: (@Sendable (Revision, [Invalidation]) -> Void)?
}
