public import Core

/// An answer has changed.
public struct Invalidation: Sendable {
  /// Whether the key has an answer now.
  public enum Kind: Sendable, Hashable {
    case upsert, delete
  }

  /// Why, as notices and metrics name it.
  public enum Reason: Sendable, Hashable, CustomStringConvertible {
    case changeStream(String)
    case ttlReload, resync, manual

    public var description: String {
      switch self {
      case .changeStream(let operation): "change_stream:\(operation)"
      case .ttlReload: "ttl_reload"
      case .resync: "resync"
      case .manual: "manual"
      }
    }
  }

  public let kind: Kind
  public let key: LookupKey
  /// At which the key came to answer this.
  public let revision: Revision
  public let committedAt: WallTime
  public let reason: Reason
  /// The `_id`, as text, of the document that answers now, or that answered last.
  public let itemID: String
  /// What the key answers now.
  public let answer: Answer?
  public let previousETag: String?
  /// Counts the changes that the cache has published: those of one sequence number became visible together.
  public let sequence: UInt64
}

/// Makes cache keys, in the one form that notices, logs and near caches share: `{entity}:{identifier}[:{variant}]`, or
/// `{entity}.{selector}:{identifier}[:{variant}]` for a selector that is not the entity's first.
///
/// - Parameter selector: the request field that holds the identifier; nil for the entity's first.
public func cacheKey(entity: String, selector: String? = nil, identifier: String, variant: String?) -> String {
  let name = selector.map { "\(entity).\($0)" } ?? entity
  return variant.map { "\(name):\(identifier):\($0)" } ?? "\(name):\(identifier)"
}
