// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The full name of a collection, e.g. `ai_model.prompts`.
public struct MongoNamespace: Sendable, Hashable, CustomStringConvertible {
  /// The name of the database.
  public let database: String
  /// The name of the collection within the database.
  public let collection: String

  /// Parses `DATABASE.COLLECTION` by the rule of ``WrittenText``. The name of a collection may contain further dots,
  /// each with at least one character on either side. Any other text results in nil.
  ///
  /// https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
  ///
  /// - Parameter text: the text.
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

  /// The name as `DATABASE.COLLECTION`.
  public var description: String { "\(database).\(collection)" }
}
