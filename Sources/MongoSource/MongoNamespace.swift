internal import Core

/// The whole name of a collection: `ai_model.prompts`.
public struct MongoNamespace: Sendable, Hashable, CustomStringConvertible {
  public let database: String
  public let collection: String

  /// Reads `DATABASE.COLLECTION` by the rule of ``WrittenText``; a collection's name may hold further dots, each with
  /// something on either side.
  ///
  /// - Returns: Nil for any other text.
  ///
  /// https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
  public init?(_ text: String) {
    guard let text = try? WrittenText.value(text), let dot = text.firstIndex(of: ".") else { return nil }
    database = String(text[..<dot])
    collection = String(text[text.index(after: dot)...])
    let forbidden: Set<Character> = ["/", "\\", " ", "\"", "$"]
    guard !database.isEmpty, database.utf8.count < 64, !database.contains(where: forbidden.contains),
      !collection.isEmpty, !collection.contains("$"),
      !collection.split(separator: ".", omittingEmptySubsequences: false).contains(""),
      text.utf8.count <= 255
    else { return nil }
  }

  public var description: String { "\(database).\(collection)" }
}
