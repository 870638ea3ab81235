/// A cache key in its parts: `{entity}:{key}[:{variant}]`, or `{entity}.{selector}:{key}[:{variant}]`.
public struct CacheName: Sendable, Hashable {
  public let entity: String
  /// The field of the lookup request that holds ``key``.
  public let selector: String
  public let key: String
  public let variant: String?

  /// The first selector of each entity, which its cache keys leave out.
  public static let primarySelectors = [
    "agent_config": "agent_id", "prompt": "agent_id", "source_config": "source_id",
  ]

  /// Nil for a text that is no cache key. Keys with a colon or a `#` in them are not read.
  public init?(_ text: String) {
    guard !text.utf8.contains(UInt8(ascii: "#")) else { return nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard (2...3).contains(parts.count) else { return nil }
    let space = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    entity = String(space[0])
    guard let primary = Self.primarySelectors[entity], space.count < 3 else { return nil }
    selector = space.count == 2 ? String(space[1]) : primary
    // A primary selector is never written.
    guard space.count == 1 || selector != primary else { return nil }
    key = String(parts[1])
    variant = parts.count == 3 ? String(parts[2]) : nil
  }
}
