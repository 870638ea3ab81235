// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// The request of a watch.
public struct WatchRequest: Sendable {
  /// The name of the server process.
  public var server: String
  /// The start revision; nil to start now.
  public var start: Revision?
  /// Whether the watch begins with the initial state.
  public var sendsInitialState = false
  /// Returns whether the watch includes a cache key.
  public var includes: @Sendable (String) -> Bool

  /// Creates a request.
  ///
  /// - Parameters:
  ///   - server: the name of the server process.
  ///   - includes: returns whether the watch includes a cache key; by default all.
  public init(of server: String, includes: @escaping @Sendable (String) -> Bool = { _ in true }) {
    self.server = server
    self.includes = includes
  }
}

/// An `InvalidationNotice` that a subscriber has received.
public struct SeenNotice: Sendable, CustomStringConvertible {
  /// The kind of a notice.
  public enum Kind: Sendable {
    case upsert, delete, resync, progress
  }

  /// The kind.
  public var kind: Kind
  /// The cache key; for a RESYNC the entity (`prompt`), or empty for all entities.
  public var key = ""
  /// The request field and its value in the notice; nil if they were not read.
  public var selector: (field: String, value: String)?
  /// The revision.
  public var revision: Revision
  /// The etag; empty for none.
  public var etag = ""
  /// The etag before the change; empty for none.
  public var previousETag = ""
  /// The label of the value, if the notice contains one.
  public var label: String?
  /// The epoch.
  public var epoch = ""
  /// The reason.
  public var reason = ""

  /// Creates a notice.
  ///
  /// - Parameters:
  ///   - kind: the kind.
  ///   - revision: the revision.
  public init(_ kind: Kind, at revision: Revision) {
    self.kind = kind
    self.revision = revision
  }

  /// A short description for messages.
  public var description: String {
    "\("\(kind)".uppercased()) \(key)@\(revision.short) \(reason) \(label ?? String(etag.prefix(8)))"
  }
}

/// The content of a subscriber: for each key, what it was notified of or has looked up, across its watches.
struct NearCache {
  struct Held {
    /// The label; nil for no answer.
    var label: String?
    /// The revision of the answer; none if there was no answer.
    var revision: Revision
  }

  var held: [String: Held] = [:]
  /// Whether every key that is not held has no answer: the initial state was received completely, and nothing was
  /// dropped since.
  var isWhole = false
  /// The revision as of which, or later, everything held is in force; nil if nothing may be held yet.
  var position: Revision?
  /// For each key, the number of received notices. The next property is the number of times that content was dropped.
  /// An answer during whose lookup one of them changes is not kept.
  var noticeCounts: [String: Int] = [:]
  var drops = 0
  var watch: Watch?

  func noticeCount(_ key: String) -> Int { drops + (noticeCounts[key] ?? 0) }
}

/// A watch from the point of view of its subscriber.
struct Watch {
  let request: WatchRequest
  var revisions: [String: Revision] = [:]
  var progress: Revision?
  /// Whether the initial state is being received.
  var isInitial: Bool

  init(_ request: WatchRequest) {
    self.request = request
    isInitial = request.sendsInitialState
  }
}
