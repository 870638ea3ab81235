// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// A notice that an answer has changed.
public struct Invalidation: Sendable {
  /// Whether the key has an answer after the change.
  public enum Kind: Sendable, Hashable {
    case upsert, delete
  }

  /// The cause of the change, in the form that notices and metrics use.
  public enum Reason: Sendable, Hashable, CustomStringConvertible {
    case changeStream(String)
    case ttlReload, resync, manual

    /// The reason's name in notices and metrics.
    public var description: String {
      switch self {
      case .changeStream(let operation): "change_stream:\(operation)"
      case .ttlReload: "ttl_reload"
      case .resync: "resync"
      case .manual: "manual"
      }
    }
  }

  /// Whether the key has an answer now.
  public let kind: Kind
  /// The key of the answer.
  public let key: LookupKey
  /// The revision from which the key has this answer.
  public let revision: Revision
  /// The time at which the change was committed.
  public let committedAt: WallTime
  /// The cause of the change.
  public let reason: Reason
  /// The `_id`, as text, of the document that is served now, or that was served last.
  public let itemID: String
  /// The key's answer now; nil if it has none.
  public let answer: CachedAnswer?
  /// The etag of the answer before the change; nil if there was none.
  public let previousETag: String?
  /// The sequence number of the publication. Changes of one number became visible together.
  public let sequence: UInt64
}

/// Makes a cache key in the form that notices, logs and near caches share: `{entity}:{identifier}[:{variant}]`, or
/// `{entity}.{selector}:{identifier}[:{variant}]` for a selector that is not the entity's primary one.
///
/// - Parameters:
///   - entity: the name of the entity.
///   - selector: the request field that holds the identifier; nil for the entity's primary selector.
///   - identifier: the key as text.
///   - variant: the variant; nil for none.
/// - Returns: the cache key.
public func cacheKey(entity: String, selector: String? = nil, identifier: String, variant: String?) -> String {
  let name = selector.map { "\(entity).\($0)" } ?? entity
  return variant.map { "\(name):\(identifier):\($0)" } ?? "\(name):\(identifier)"
}
