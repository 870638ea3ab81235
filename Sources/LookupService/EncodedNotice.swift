// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore

/// A notice of one change of an answer. It is encoded but for the value, which few watches request, and the epoch,
/// which is certain only when the notice is sent. Immutable: any thread.
final class EncodedNotice: Sendable {
  let entity: ServedEntity
  let key: LookupKey
  /// A hash of entity and key, computed once for the queues of all slow subscribers.
  let keyHash: Int
  let revision: Revision
  /// Its number among all notices of its entity, as the replay buffer counts them.
  let number: Int
  /// The cache's publication in which the change became visible.
  let publication: UInt64
  /// The `InvalidationNotice`, without `epoch` and `value`.
  let encoded: [UInt8]
  /// The current answer of the key.
  let answer: CachedAnswer?
  /// Whether this is an UPSERT whose value has been released because a later notice of the key carries the current one.
  let isWithoutValue: Bool

  init(_ invalidation: Invalidation, _ entity: ServedEntity, number: Int) {
    self.entity = entity
    key = invalidation.key
    keyHash = WatchKey(entity: entity, key: key).hashValue
    revision = invalidation.revision
    self.number = number
    publication = invalidation.sequence
    answer = invalidation.answer
    isWithoutValue = false
    encoded = encodeNotice(
      kind: invalidation.kind == .upsert ? .upsert : .delete, entity, key: key,
      revision: invalidation.revision, itemID: invalidation.itemID, reason: invalidation.reason.description,
      committedAt: invalidation.committedAt,
      etag: invalidation.answer?.etagDigits, previousETag: invalidation.previousETag ?? "")
  }

  private init(withoutValue notice: EncodedNotice) {
    entity = notice.entity
    key = notice.key
    keyHash = notice.keyHash
    revision = notice.revision
    number = notice.number
    publication = notice.publication
    encoded = notice.encoded
    answer = nil
    isWithoutValue = true
  }

  /// The same notice without its value.
  func withoutValue() -> EncodedNotice {
    answer == nil ? self : EncodedNotice(withoutValue: self)
  }

  func isAboutSameKey(as other: EncodedNotice) -> Bool {
    keyHash == other.keyHash && entity == other.entity && key == other.key
  }
}
