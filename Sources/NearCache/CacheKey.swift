/// What an answer is kept under: `{entity}:{identifier}[:{variant}]`, the same text as a notice's `cache_key`.
///
/// Two keys are equal if their parts are: an identifier with a colon in it is not taken for a variant.
public struct CacheKey: Sendable, Hashable, CustomStringConvertible {
  /// The whole key, for logs.
  public let text: String
  /// Where the parts end, in UTF-8.
  private let entityEnd: Int
  private let identifierEnd: Int

  public init(entity: String, identifier: String, variant: String? = nil) {
    entityEnd = entity.utf8.count
    identifierEnd = entityEnd + 1 + identifier.utf8.count
    text = variant.map { "\(entity):\(identifier):\($0)" } ?? "\(entity):\(identifier)"
  }

  public var entity: Substring { text[..<place(entityEnd)] }
  public var identifier: Substring { text[place(entityEnd + 1)..<place(identifierEnd)] }
  /// Nil if the key has none.
  public var variant: Substring? { identifierEnd == text.utf8.count ? nil : text[place(identifierEnd + 1)...] }

  public var description: String { text }

  /// Whether ``text`` begins with `prefix`, byte for byte.
  public func hasPrefix(_ prefix: String) -> Bool { text.utf8.starts(with: prefix.utf8) }

  private func place(_ offset: Int) -> String.Index { text.utf8.index(text.startIndex, offsetBy: offset) }

  public func hash(into hasher: inout Hasher) {
    // The ends differ where the text is the same only by rare accident.
    hasher.combine(text)
  }
}
