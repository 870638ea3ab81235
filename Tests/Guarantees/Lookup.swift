public import Core

/// What was asked of a server.
public struct Lookup: Sendable {
  /// One life of one server: it gets a new name when it starts again.
  public var server: String
  /// A cache key (``CacheName``), or another name under which the true history has what the reply shows.
  public var key: String
  /// The part of a list that is asked for, in place of a key.
  public var page: PageRequest?
  public var minimumRevision = Revision.none
  public var maximumStalenessMilliseconds: UInt64 = 0
  /// The near cache that keeps the answer; nil: nobody does.
  public var client: String?
  /// The caller knows that the server must have come as far as this: at the end, when all is quiet.
  public var knownRevision = Revision.none

  public init(_ key: String, of server: String) {
    self.key = key
    self.server = server
  }

  /// Asks for a page of a list.
  public init(_ page: PageRequest, of server: String) {
    key = page.list
    self.page = page
    self.server = server
  }

  /// Asks for nothing that could be refused.
  var isUnconditional: Bool { minimumRevision == .none && maximumStalenessMilliseconds == 0 }
}

/// What a server said of a key, and as of when.
public struct LookupReply: Sendable {
  public enum Result: Sendable, Equatable {
    /// `label` is nil where the reply had no value (`not_modified`).
    case found(label: String?, etag: String, revision: Revision)
    /// The label stands for all that the reply shows, and is made of several answers. It must be of one moment; each of
    /// `parts` must be as of its own revision.
    case composed(label: String, parts: [Part])
    case notFound
    /// A status that says nothing of the key; the text is for messages.
    case refused(isUnavailable: Bool, String)
  }

  /// A value within a reply.
  public struct Part: Sendable, Equatable {
    /// Under which the true history has it.
    public let key: String
    public let label: String
    public let revision: Revision

    public init(_ key: String, _ label: String, at revision: Revision) {
      self.key = key
      self.label = label
      self.revision = revision
    }
  }

  public var result: Result
  /// The further documents that the reply names, in its order; nil: it was not looked for them.
  public var others: [String]?
  public var observed = Revision.none
  public var epoch = ""
  public var ageMilliseconds: UInt64 = 0
  public var isStale = false
  /// What the caller knows of the age: for so long no question has been asked whose reply the server has read.
  public var leastAgeMilliseconds: UInt64 = 0

  public init(_ result: Result) {
    self.result = result
  }
}

/// A lookup that is under way, with what the server had shown when it was asked.
public struct PendingLookup: Sendable {
  let lookup: Lookup
  let answered: KeyHistory.Bounds
  let announced: KeyHistory.Bounds
  let observed: Revision
  /// The server had shown the entity as of this, or later.
  let shown: Revision
  let wasWarm: Bool
  let noticeCount: Int
}
