// SPDX-License-Identifier: Apache-2.0

/// The name of a collection.
public struct Namespace: Sendable, Hashable, CustomStringConvertible {
  /// The name of the database.
  public var database: String
  /// The name of the collection within the database.
  public var collection: String

  /// Creates a name.
  ///
  /// - Parameters:
  ///   - database: the name of the database.
  ///   - collection: the name of the collection.
  public init(_ database: String, _ collection: String) {
    self.database = database
    self.collection = collection
  }

  /// Splits `DATABASE.COLLECTION` at the first dot.
  ///
  /// - Parameter text: the text.
  public init(_ text: String) {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    self.init(String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
  }

  /// The name as `DATABASE.COLLECTION`.
  public var description: String { "\(database).\(collection)" }
}
