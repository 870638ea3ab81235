// SPDX-License-Identifier: Apache-2.0
/// The parts of a cache key: `{entity}:{key}[:{variant}]`, or `{entity}.{selector}:{key}[:{variant}]`.
public struct CacheName: Sendable, Hashable {
  /// The entity, e.g. `prompt`.
  public let entity: String
  /// The field of the lookup request that contains ``key``.
  public let selector: String
  /// The key.
  public let key: String
  /// The variant, e.g. `staged`; nil for none.
  public let variant: String?

  /// The primary selector of each entity, which its cache keys omit.
  public static let primarySelectors = [
    "agent_config": "agent_id", "prompt": "agent_id", "source_config": "source_id",
  ]

  /// Parses a cache key. The result is nil for a text that is not a cache key. Keys that contain a colon or a `#` are
  /// not supported.
  ///
  /// - Parameter text: the text.
  public init?(_ text: String) {
    guard !text.utf8.contains(UInt8(ascii: "#")) else { return nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard (2...3).contains(parts.count) else { return nil }
    let space = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    entity = String(space[0])
    guard let primary = Self.primarySelectors[entity], space.count < 3 else { return nil }
    selector = space.count == 2 ? String(space[1]) : primary
    // A cache key never contains a primary selector.
    guard space.count == 1 || selector != primary else { return nil }
    key = String(parts[1])
    variant = parts.count == 3 ? String(parts[2]) : nil
  }
}
