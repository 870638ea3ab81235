public import Core

/// What was asked of a server.
public struct Lookup: Sendable {
  /// One life of one server: it gets a new name when it starts again.
  public var server: String
  /// `{entity}:{identifier}[:{variant}]`
  public var key: String
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

  /// Asks for nothing that could be refused.
  var isUnconditional: Bool { minimumRevision == .none && maximumStalenessMilliseconds == 0 }
}

/// What a server said of a key, and as of when.
public struct LookupReply: Sendable {
  public enum Result: Sendable, Equatable {
    /// `label` is nil where the reply had no value (`not_modified`).
    case found(label: String?, etag: String, revision: Revision)
    case notFound
    /// A status that says nothing of the key; the text is for messages.
    case refused(isUnavailable: Bool, String)
  }

  public var result: Result
  public var observed = Revision.none
  public var epoch = ""
  public var ageMilliseconds: UInt64 = 0
  public var isStale = false
  /// What the caller knows of the age: nothing can have confirmed the contents for so long.
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
  let wasWarm: Bool
  let noticeCount: Int
}
