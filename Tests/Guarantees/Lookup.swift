// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// A request to a server.
public struct Lookup: Sendable {
  /// The name of a server process. A server gets a new name when it is restarted.
  public var server: String
  /// A cache key (``CacheName``), or another name of the true history for the content of the reply.
  public var key: String
  /// The requested page of a list; nil for a lookup of a key.
  public var page: PageRequest?
  /// The minimum revision of the request; none for no condition.
  public var minimumRevision = Revision.none
  /// The maximum staleness of the request in milliseconds; 0 for no condition.
  public var maximumStalenessMilliseconds: UInt64 = 0
  /// The near cache that keeps the answer; nil for none.
  public var client: String?
  /// A revision that the server is known to have observed, at the end of a history.
  public var knownRevision = Revision.none

  /// Creates a lookup of a key.
  ///
  /// - Parameters:
  ///   - key: the cache key, or another name of the true history.
  ///   - server: the name of the server process.
  public init(_ key: String, of server: String) {
    self.key = key
    self.server = server
  }

  /// Creates a request for a page of a list.
  ///
  /// - Parameters:
  ///   - page: the page.
  ///   - server: the name of the server process.
  public init(_ page: PageRequest, of server: String) {
    key = page.list
    self.page = page
    self.server = server
  }

  /// Whether the request has no condition that could lead to its rejection.
  var isUnconditional: Bool { minimumRevision == .none && maximumStalenessMilliseconds == 0 }
}

/// A server's reply, with the time that it refers to.
public struct LookupReply: Sendable {
  /// The result of a lookup.
  public enum Result: Sendable, Equatable {
    /// A value. `label` is nil if the reply contains no value (`not_modified`).
    case found(label: String?, etag: String, revision: Revision)
    /// A label of the whole content of a reply that several answers determine. The content must be of one time; each of
    /// `parts` must be as of its own revision.
    case composed(label: String, parts: [Part])
    /// The key has no answer.
    case notFound
    /// A status that contains no information about the key. The text is for messages.
    case refused(isUnavailable: Bool, String)
  }

  /// A value within a reply.
  public struct Part: Sendable, Equatable {
    /// The name of the value in the true history.
    public let key: String
    /// The label of the value.
    public let label: String
    /// The revision of the value.
    public let revision: Revision

    /// Creates a part.
    ///
    /// - Parameters:
    ///   - key: the name in the true history.
    ///   - label: the label of the value.
    ///   - revision: the revision of the value.
    public init(_ key: String, _ label: String, at revision: Revision) {
      self.key = key
      self.label = label
      self.revision = revision
    }
  }

  /// The result.
  public var result: Result
  /// The names of the other documents, in the order of the reply; nil if they were not read.
  public var others: [String]?
  /// The observed revision.
  public var observed = Revision.none
  /// The epoch.
  public var epoch = ""
  /// The age in milliseconds.
  public var ageMilliseconds: UInt64 = 0
  /// Whether the contents are stale regardless of their age, because the database member that the server follows has
  /// lost contact with the majority; nil if that changed during the call.
  public var isBehindMajority: Bool? = false
  /// Whether the reply is marked as stale.
  public var isStale = false
  /// A known lower bound of the age, in milliseconds: in this time the server has read no reply to a
  /// new request.
  public var leastAgeMilliseconds: UInt64 = 0

  /// Creates a reply.
  ///
  /// - Parameter result: the result.
  public init(_ result: Result) {
    self.result = result
  }
}

/// A lookup in progress, with what the server had shown when the request was sent.
public struct PendingLookup: Sendable {
  let lookup: Lookup
  let answered: KeyHistory.Bounds
  let announced: KeyHistory.Bounds
  let observed: Revision
  /// The server had shown the entity as of this time, or of a later one.
  let shown: Revision
  let wasWarm: Bool
  let noticeCount: Int
}
