// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ProtobufMessages

/// The announcement that an answer has changed, or that all changes up to a revision have been announced.
public struct Notice: Sendable, Hashable {
  /// The kinds of notices.
  public enum Kind: Sendable, Hashable {
    /// The answer of the key has changed to ``revision``.
    case upsert
    /// The key has no answer any more.
    case delete
    /// Changes may have been missed: drop all values that you hold, and look them up again.
    case resync
    /// Every change up to ``revision`` has been announced.
    case progress
  }

  /// The kind of the notice.
  public let kind: Kind
  /// The entity of the answer. Nil for all entities.
  public let entity: Entity?
  /// The key of the answer; empty for notices about no key.
  public let key: String
  /// The cache key of the answer: `{entity}:{key}[:{variant}]`, or `{entity}.{selector}:{key}[:{variant}]` if the
  /// selector is not the entity's primary one.
  public let cacheKey: String
  /// The selector: the request field by which the answer is looked up, as `container`. Empty for notices about no key.
  public let selector: String
  /// The revision of the change: its cluster time.
  public let revision: UInt64
  /// The `_id` of the changed document, as text.
  public let itemID: String
  /// The cause of the notice: `change_stream:update`, `ttl_reload`, `resync`, `manual`, `draining` and others.
  public let reason: String
  /// When the change was committed. Nil if that is not known.
  public let committedAt: Timestamp?
  /// The etag of the new value; empty if there is none.
  public let etag: String
  /// The etag of the previous value; empty if there was none.
  public let previousETag: String
  let epoch: String
}

extension Notice {
  /// Makes the RESYNC of a client that cannot determine which changes were missed.
  static func resync(_ reason: String) -> Notice {
    Notice(
      kind: .resync, entity: nil, key: "", cacheKey: "", selector: "", revision: 0, itemID: "", reason: reason,
      committedAt: nil,
      etag: "", previousETag: "", epoch: "")
  }

  /// Decodes a message. Nil for a kind that this version of the library does not support.
  init?(_ message: Configlookup__V1__InvalidationNotice) {
    switch message.kind {
    case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_UPSERT: kind = .upsert
    case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_DELETE: kind = .delete
    case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_RESYNC: kind = .resync
    case CONFIGLOOKUP__V1__NOTICE_KIND__NOTICE_KIND_PROGRESS: kind = .progress
    default: return nil
    }
    entity = Entity(rawValue: message.entity.rawValue)
    key = message.key.string
    cacheKey = message.cache_key.string
    selector = message.selector.string
    revision = message.revision
    itemID = message.item_id.string
    reason = message.reason.string
    committedAt = Timestamp(message.committed_at)
    etag = message.etag.string
    previousETag = message.previous_etag.string
    epoch = message.epoch.string
  }
}
