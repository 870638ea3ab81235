internal import CConfigLookupProto
internal import ProtobufMessages

/// That an answer has changed, or how far the notices have come.
public struct Notice: Sendable, Hashable {
  public enum Kind: Sendable, Hashable {
    /// The answer for the key is now this revision.
    case upsert
    /// The key has no answer any more.
    case delete
    /// Changes may have been missed: drop what you hold, look up again.
    case resync
    /// All up to this revision has been sent.
    case progress
  }

  public let kind: Kind
  /// Nil: all of them.
  public let entity: Entity?
  public let key: String
  /// `{entity}:{key}[:{variant}]`, or `{entity}.{selector}:{key}[:{variant}]` for a selector that is not the entity's
  /// first.
  public let cacheKey: String
  /// The request field by which the answer is looked up, as `container`; empty for notices about no key.
  public let selector: String
  public let revision: UInt64
  /// The `_id` of the document, as text.
  public let itemID: String
  /// `change_stream:update`, `ttl_reload`, `resync`, `manual`, `draining` and others.
  public let reason: String
  public let committedAt: Timestamp?
  public let etag: String
  public let previousETag: String
  let epoch: String
}

extension Notice {
  /// That the client itself cannot tell what was missed.
  static func resync(_ reason: String) -> Notice {
    Notice(
      kind: .resync, entity: nil, key: "", cacheKey: "", selector: "", revision: 0, itemID: "", reason: reason,
      committedAt: nil,
      etag: "", previousETag: "", epoch: "")
  }

  /// Nil for a kind that this library does not know.
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
