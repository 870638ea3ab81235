public import Core

/// What was asked of a watch.
public struct WatchRequest: Sendable {
  public var server: String
  /// Nil: from now on.
  public var start: Revision?
  public var sendsInitialState = false
  /// Whether the watch is about this cache key.
  public var includes: @Sendable (String) -> Bool

  public init(of server: String, includes: @escaping @Sendable (String) -> Bool = { _ in true }) {
    self.server = server
    self.includes = includes
  }
}

/// An `InvalidationNotice` as a subscriber reads it.
public struct SeenNotice: Sendable, CustomStringConvertible {
  public enum Kind: Sendable {
    case upsert, delete, resync, progress
  }

  public var kind: Kind
  /// The cache key; for a RESYNC the entity (`prompt`), or empty: all of them.
  public var key = ""
  /// The request field and its value, as the notice names them; nil: it was not looked for them.
  public var selector: (field: String, value: String)?
  public var revision: Revision
  public var etag = ""
  public var previousETag = ""
  /// Of the value, where one came along.
  public var label: String?
  public var epoch = ""
  public var reason = ""

  public init(_ kind: Kind, at revision: Revision) {
    self.kind = kind
    self.revision = revision
  }

  public var description: String {
    "\("\(kind)".uppercased()) \(key)@\(revision.short) \(reason) \(label ?? String(etag.prefix(8)))"
  }
}

/// What a subscriber keeps: key by key, what it was told or has looked up, from one watch to the next.
struct NearCache {
  struct Held {
    /// Nil: no answer.
    var label: String?
    /// Of the answer; none where there was no answer.
    var revision: Revision
  }

  var held: [String: Held] = [:]
  /// Every key that is not held has no answer: the initial state has come whole, and nothing was dropped since.
  var isWhole = false
  /// Everything that is held is true as of this or later. Nil: nothing may be held yet.
  var position: Revision?
  /// How many notices of each key have come, and how often all was dropped: an answer that crosses one of these on its
  /// way is not kept.
  var noticeCounts: [String: Int] = [:]
  var drops = 0
  var watch: Watch?

  func noticeCount(_ key: String) -> Int { drops + (noticeCounts[key] ?? 0) }
}

/// A watch as its subscriber sees it.
struct Watch {
  let request: WatchRequest
  var revisions: [String: Revision] = [:]
  var progress: Revision?
  /// The initial state is under way.
  var isInitial: Bool

  init(_ request: WatchRequest) {
    self.request = request
    isInitial = request.sendsInitialState
  }
}
