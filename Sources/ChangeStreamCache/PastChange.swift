// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON
public import ConfigLookupCore

/// A change that happened before the cache began to follow the collection.
public struct PastChange: Sendable {
  /// The operation that changed the document, or the collection.
  public enum Operation: Sendable {
    /// An insert, with the document as of this change.
    case insert(BSONDocument)
    /// A replacement, with the document as of this change.
    case replace(BSONDocument)
    /// An update. The value contains the top-level fields that it set or removed.
    case update(fields: Set<String>)
    /// A deletion.
    case delete
    /// Any other operation. Its effect on documents is not known. The value is its name.
    case other(String)

    /// The operation's name in notices.
    var name: String {
      switch self {
      case .insert: "insert"
      case .replace: "replace"
      case .update: "update"
      case .delete: "delete"
      case .other(let name): name
      }
    }
  }

  /// The operation.
  public let operation: Operation
  /// The document's `_id`; nil for operations on no document.
  public let id: DocumentID?
  /// The cluster time of the change.
  public let revision: Revision
  /// The commit time of the change, as reported by the database.
  public let committedAt: WallTime?

  /// Creates a change.
  ///
  /// - Parameters:
  ///   - operation: the operation.
  ///   - id: the document's `_id`; nil for operations on no document.
  ///   - revision: the cluster time of the change.
  ///   - committedAt: the commit time, if known.
  public init(_ operation: Operation, id: DocumentID?, revision: Revision, committedAt: WallTime? = nil) {
    self.operation = operation
    self.id = id
    self.revision = revision
    self.committedAt = committedAt
  }
}
