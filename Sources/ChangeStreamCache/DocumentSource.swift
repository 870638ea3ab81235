public import BSON
public import Core

/// Where documents and their changes come from. The cache owns this protocol; MongoDB is one maker of it.
///
/// Called from the cache's own threads; a call may block, up to the source's own time limits.
public protocol DocumentSource: Sendable {
  /// What tells this collection of this database from any other: revisions of two identities cannot be compared.
  func identity() throws(SourceError) -> String

  /// Starts to follow the collection: from `token` on, or from now on. An update's change says which of `fields`, which
  /// are top-level ones, it touched.
  func openStream(
    resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
  ) throws(SourceError) -> any DocumentStream

  /// Reads every document that matches, as of `revision` or later, and gives the revision at the end of the read: a
  /// document that did not change in between was as read at both.
  ///
  /// `besideLookups`: they are answered meanwhile, so none of it may keep a processor busy for long in one piece.
  /// `body` answers false to stop early.
  func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision

  /// Reads what changed from `revision` on, in order, until every change up to `end` has been given to `body`, which
  /// answers false to stop early. Throws ``SourceError/Kind/historyLost`` where the source does not reach back so far.
  func readHistory(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError)
}

extension DocumentSource {
  /// A source that keeps no history.
  public func readHistory(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) {
    throw SourceError(.historyLost, "this source provides no change history")
  }
}

/// A position in a stream of changes, opaque to everyone but its source.
public struct ResumeToken: Sendable, Hashable {
  public let document: BSONDocument

  public init(_ document: BSONDocument) {
    self.document = document
  }
}

/// An open stream of changes. To be used by one thread.
public protocol DocumentStream: AnyObject {
  /// The source's time when it last answered: every change after it is still to come, unless it is among those that
  /// came with the answer. Once nothing more comes, every change up to it has come.
  var operationTime: Revision { get }

  /// When the question was sent whose reply was taken last, by ``next(waitingAtMost:)`` or before it by the opening.
  ///
  /// A reply proves nothing later than its question, however long it was on its way: the age of what is served counts
  /// from here.
  var askedAt: MonotonicTime { get }

  /// Where to resume. Moves on without changes too.
  var resumeToken: ResumeToken? { get }

  /// Waits for the next change; nil when none came within `seconds`, or within the source's own waiting time if that is
  /// shorter.
  func next(waitingAtMost seconds: Double) throws(SourceError) -> DocumentChange?

  /// Lets go of the stream. To be called once, on the thread that used it.
  func close()
}

/// One change of a collection.
public struct DocumentChange: Sendable {
  /// What was done to the document, or to the collection.
  public enum Operation: Sendable, Hashable {
    /// The document as of this change.
    case insert(BSONDocument)
    case replace(BSONDocument)
    case update(BSONDocument)
    /// An update, and the document as of some moment after it; nil if it was gone by then.
    case updateLookedUp(BSONDocument?)
    case delete
    /// The stream has ended: dropped, renamed, or something like it.
    case invalidate(String)
    /// Something that this version does not know.
    case unknown(String)

    /// As notices and metrics name it.
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

  public let operation: Operation
  /// Nil for operations on no document.
  public let id: DocumentID?
  public let revision: Revision
  /// When it was committed, as the database says.
  public let committedAt: WallTime?
  /// Of an update: which of the fields that the stream reports it set or removed; nil: not known.
  public let touchedFields: Set<String>?
  /// Other changes of the same revision may follow, of the same document too.
  public let isInTransaction: Bool

  public init(
    _ operation: Operation, id: DocumentID?, revision: Revision, committedAt: WallTime? = nil,
    touchedFields: Set<String>? = nil, isInTransaction: Bool = false
  ) {
    self.operation = operation
    self.id = id
    self.revision = revision
    self.committedAt = committedAt
    self.touchedFields = touchedFields
    self.isInTransaction = isInTransaction
  }
}

/// Why a source could not do what it was asked.
public struct SourceError: Error, Sendable, CustomStringConvertible {
  /// What the cache can do about it.
  public enum Kind: Sendable, Hashable {
    /// The position is gone or is none: only a new snapshot helps.
    case historyLost
    /// Trying again may help, from the same position.
    case transient
    /// Trying again helps only after somebody has changed something: `advice` says what.
    case misconfigured
  }

  public let kind: Kind
  /// The source's own number for it; 0 where it has none.
  public let code: Int
  public let message: String
  /// What to do about it; empty where nothing is known.
  public let advice: String
  /// Whether the source itself refused: the link to it works.
  public let isFromServer: Bool

  public init(_ kind: Kind, code: Int = 0, _ message: String, advice: String = "", isFromServer: Bool = false) {
    self.kind = kind
    self.code = code
    self.message = message
    self.advice = advice
    self.isFromServer = isFromServer
  }

  public var description: String { advice.isEmpty ? message : "\(message): \(advice)" }
}
