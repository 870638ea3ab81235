public import BSON
public import Core

/// A change from before the cache began to follow the collection.
public struct PastChange: Sendable {
  /// What was done to the document, or to the collection.
  public enum Operation: Sendable {
    /// The document as of this change.
    case insert(BSONDocument)
    case replace(BSONDocument)
    /// The top-level fields that the change set or removed.
    case update(fields: Set<String>)
    case delete
    /// Anything else: what it did to which document is not known.
    case other(String)

    /// As notices name it.
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

  public let operation: Operation
  /// Nil for operations on no document.
  public let id: DocumentID?
  public let revision: Revision
  /// When it was committed, as the database says.
  public let committedAt: WallTime?

  public init(_ operation: Operation, id: DocumentID?, revision: Revision, committedAt: WallTime? = nil) {
    self.operation = operation
    self.id = id
    self.revision = revision
    self.committedAt = committedAt
  }
}
