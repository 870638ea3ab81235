// SPDX-License-Identifier: Apache-2.0
/// The key of a cached answer: `{entity}:{identifier}[:{variant}]`, the same text as the `cache_key` of a notice.
///
/// Two keys are equal if their texts and the boundaries of their parts are equal: a colon within an identifier does not
/// begin a variant.
public struct CacheKey: Sendable, Hashable, CustomStringConvertible {
  /// The whole key.
  public let text: String
  /// The ends of the parts, as offsets in UTF-8.
  private let entityEnd: Int
  private let identifierEnd: Int

  /// Makes a key.
  ///
  /// - Parameters:
  ///   - entity: the kind of the answer, which selects its policy.
  ///   - identifier: the id within the entity.
  ///   - variant: the variant of the answer; nil for none.
  public init(entity: String, identifier: String, variant: String? = nil) {
    entityEnd = entity.utf8.count
    identifierEnd = entityEnd + 1 + identifier.utf8.count
    text = variant.map { "\(entity):\(identifier):\($0)" } ?? "\(entity):\(identifier)"
  }

  /// The first part of the key.
  public var entity: Substring { text[..<place(entityEnd)] }
  /// The second part of the key.
  public var identifier: Substring { text[place(entityEnd + 1)..<place(identifierEnd)] }
  /// The third part of the key; nil if it has none.
  public var variant: Substring? { identifierEnd == text.utf8.count ? nil : text[place(identifierEnd + 1)...] }

  /// The same as ``text``.
  public var description: String { text }

  /// Compares the begin of ``text`` with a prefix, byte for byte.
  ///
  /// - Parameter prefix: the prefix.
  /// - Returns: whether ``text`` begins with it.
  public func hasPrefix(_ prefix: String) -> Bool { text.utf8.starts(with: prefix.utf8) }

  private func place(_ offset: Int) -> String.Index { text.utf8.index(text.startIndex, offsetBy: offset) }

  /// Hashes the text only.
  ///
  /// - Parameter hasher: the hasher.
  public func hash(into hasher: inout Hasher) {
    // Keys of equal text with different boundaries are rare.
    hasher.combine(text)
  }
}
