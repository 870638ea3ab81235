// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON
public import ConfigLookupCore

/// A source of the documents of a collection and of their changes. The cache defines this protocol; MongoDB is one
/// implementation.
///
/// The cache calls the source from its own threads. A call may block, up to the source's own time limits.
public protocol DocumentSource: Sendable {
  /// Returns a string that identifies the collection and its database. Revisions of different identities cannot be
  /// compared.
  ///
  /// - Returns: the identity.
  /// - Throws: a ``SourceError`` if the source cannot be reached.
  func identity() throws(SourceError) -> String

  /// Opens a stream of the collection's changes.
  ///
  /// - Parameters:
  ///   - token: the position after which the stream resumes; nil to start from now.
  ///   - fields: top-level fields. Each update's change reports which of them it touched.
  /// - Returns: the open stream.
  /// - Throws: a ``SourceError``; of kind ``SourceError/Kind/historyLost`` if the position is lost.
  func openStream(
    resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
  ) throws(SourceError) -> any DocumentStream

  /// Reads every document that matches a filter.
  ///
  /// - Parameters:
  ///   - filter: the query.
  ///   - revision: the documents are read as of this revision or later.
  ///   - besideLookups: whether lookups are answered during the read. If so, no part of the read may occupy a CPU for
  ///     long without a break.
  ///   - body: receives each document. It returns false to stop early.
  /// - Returns: the revision at the end of the read. A document that did not change during the read was in this state
  ///   at its start and at its end.
  /// - Throws: a ``SourceError`` if the read fails.
  func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision

  /// Reads the changes from `revision` on, in order, until every change up to `end` has been passed to `body`.
  ///
  /// - Parameters:
  ///   - revision: the first revision to read.
  ///   - end: the last revision to read.
  ///   - body: receives each change. It returns false to stop early.
  /// - Throws: a ``SourceError``; of kind ``SourceError/Kind/historyLost`` if the source does not reach back to
  ///   `revision`.
  func readHistory(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError)
}

extension DocumentSource {
  /// The default implementation, for a source that keeps no history.
  ///
  /// - Parameters:
  ///   - revision: the first revision to read.
  ///   - end: the last revision to read.
  ///   - body: is never called.
  /// - Throws: always a ``SourceError`` of kind ``SourceError/Kind/historyLost``.
  public func readHistory(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) {
    throw SourceError(.historyLost, "this source provides no change history")
  }
}

/// A position in a stream of changes. It is opaque to all code but its source.
public struct ResumeToken: Sendable, Hashable {
  /// The source's representation of the position.
  public let document: BSONDocument

  /// Creates a token.
  ///
  /// - Parameter document: the source's representation of the position.
  public init(_ document: BSONDocument) {
    self.document = document
  }
}

/// An open stream of changes. Only one thread may use it.
public protocol DocumentStream: AnyObject {
  /// What the source stated in its last reply to ``next(waitingAtMost:)`` or, before that, to the opening. It advances
  /// with each returned change, too: those of its reply that are still to be returned have not been received.
  var progress: StreamProgress { get }

  /// The position from which the stream can be resumed. It advances without changes, too.
  var resumeToken: ResumeToken? { get }

  /// Waits for the next change.
  ///
  /// - Parameter limit: the longest wait; nil for no limit. The source's own waiting time may be shorter.
  /// - Returns: the change; nil if none was received in that time.
  /// - Throws: a ``SourceError`` if the stream has failed.
  func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange?

  /// Closes the stream. Must be called once, on the thread that used it.
  func close()
}

/// One change of a collection.
public struct DocumentChange: Sendable {
  /// The operation that changed the document, or the collection.
  public enum Operation: Sendable, Hashable {
    /// An insert, with the document as of this change.
    case insert(BSONDocument)
    /// A replacement, with the document as of this change.
    case replace(BSONDocument)
    /// An update, with the post-image of the document.
    case update(BSONDocument)
    /// An update, with the document as `updateLookup` read it at some later moment; nil if it no longer existed then.
    case updateLookedUp(BSONDocument?)
    /// A deletion.
    case delete
    /// The stream has ended, because the collection was dropped or renamed, or by a similar operation. The value is the
    /// operation's name.
    case invalidate(String)
    /// An operation that this version does not support. The value is its name.
    case unknown(String)

    /// The operation's name in notices and metrics.
    public var name: String {
      switch self {
      case .insert: "insert"
      case .replace: "replace"
      case .update, .updateLookedUp: "update"
      case .delete: "delete"
      case .invalidate(let name), .unknown(let name): name
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
  /// For an update, the reported fields that it set or removed; nil if they are not known.
  public let touchedFields: Set<String>?
  /// Whether the change belongs to a transaction: other changes of the same revision may follow, of the same document,
  /// too.
  public let isInTransaction: Bool
  /// The document's key in a sharded collection: the fields of the shard key, and the `_id`. Nil where the `_id` alone
  /// identifies a document.
  public let shardedKey: BSONDocument?

  /// Whether other changes of the same revision may follow.
  ///
  /// MongoDB gives one cluster time to all inserts of an `insertMany` (8.0), to all deletions of a batched delete (6.1)
  /// and to all changes of a transaction. Only the last of these identifies itself.
  public var mayShareRevision: Bool {
    switch operation {
    case .insert, .delete: true
    default: isInTransaction
    }
  }

  /// Creates a change.
  ///
  /// - Parameters:
  ///   - operation: the operation.
  ///   - id: the document's `_id`; nil for operations on no document.
  ///   - revision: the cluster time of the change.
  ///   - committedAt: the commit time, if known.
  ///   - touchedFields: for an update, the reported fields that it touched; nil if they are not known.
  ///   - isInTransaction: whether other changes of the same revision may follow.
  ///   - shardedKey: the document's key, if the collection is sharded by another field than the `_id`.
  public init(
    _ operation: Operation, id: DocumentID?, revision: Revision, committedAt: WallTime? = nil,
    touchedFields: Set<String>? = nil, isInTransaction: Bool = false,
    shardedKey: BSONDocument? = nil
  ) {
    self.operation = operation
    self.id = id
    self.revision = revision
    self.committedAt = committedAt
    self.touchedFields = touchedFields
    self.isInTransaction = isInTransaction
    self.shardedKey = shardedKey
  }
}

/// An error of a source.
public struct SourceError: Error, Sendable, CustomStringConvertible {
  /// The way in which the cache can handle the error.
  public enum Kind: Sendable, Hashable {
    /// The resume position is lost or invalid. Only a new snapshot helps.
    case historyLost
    /// A retry from the same position may succeed.
    case transient
    /// A retry can succeed only after the configuration has been corrected; `advice` describes how.
    case misconfigured
  }

  /// The way in which the error can be handled.
  public let kind: Kind
  /// The source's own error number; 0 where it has none.
  public let code: Int
  /// The description of the error.
  public let message: String
  /// The advice for correcting the error; empty where none is known.
  public let advice: String
  /// Whether the error was returned by the server, so that the connection to it works.
  public let isFromServer: Bool
  /// Whether the server rejects every request for now, for example during a failover. Such an error says nothing about
  /// the request.
  public let isTemporary: Bool
  /// Whether the server did not reply in time.
  public let isTimeout: Bool

  /// Creates an error.
  ///
  /// - Parameters:
  ///   - kind: the way in which the error can be handled.
  ///   - code: the source's own error number; 0 where it has none.
  ///   - message: the description of the error.
  ///   - advice: the advice for correcting it; empty where none is known.
  ///   - isFromServer: whether the server returned the error.
  ///   - isTemporary: whether the server rejects every request for now.
  ///   - isTimeout: whether the server did not reply in time.
  public init(
    _ kind: Kind, code: Int = 0, _ message: String, advice: String = "", isFromServer: Bool = false,
    isTemporary: Bool = false, isTimeout: Bool = false
  ) {
    self.kind = kind
    self.code = code
    self.message = message
    self.advice = advice
    self.isFromServer = isFromServer
    self.isTemporary = isTemporary
    self.isTimeout = isTimeout
  }

  /// The message, followed by the advice if there is one.
  public var description: String { advice.isEmpty ? message : "\(message): \(advice)" }
}
