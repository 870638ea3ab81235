/// The whole name of a collection: `ai_model.prompts`.
public struct MongoNamespace: Sendable, Hashable, CustomStringConvertible {
  public let database: String
  public let collection: String

  /// Nil unless `text` is `DATABASE.COLLECTION` (a collection's name may hold further dots).
  ///
  /// https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
  public init?(_ text: String) {
    guard let dot = text.firstIndex(of: ".") else { return nil }
    database = String(text[..<dot])
    collection = String(text[text.index(after: dot)...])
    let forbidden: Set<Character> = ["/", "\\", " ", "\"", "$", "\0"]
    guard !database.isEmpty, database.utf8.count < 64, !database.contains(where: forbidden.contains),
      !collection.isEmpty, !collection.hasPrefix("."), !collection.contains("\0"), !collection.contains("$"),
      text.utf8.count <= 255
    else { return nil }
  }

  public var description: String { "\(database).\(collection)" }
}
