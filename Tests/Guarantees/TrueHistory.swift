public import Core

/// What was true of each cache key, in order, as those who write to the database know it.
///
/// Knows no server. On a simulated database revisions are exact: ``set(_:document:_:at:)``. On a real one a write is
/// first attempted (its label may show from now on) and then acknowledged with its operation time, an upper bound.
/// A write whose fate is unknown is tried again until it is acknowledged, as one attempt. The writes of one document
/// come one after the other.
public struct TrueHistory: Sendable {
  /// A write that may be under way.
  public struct Attempt: Sendable {
    fileprivate let key: String
    fileprivate let version: (document: Int, version: Int)
  }

  private var keys: [String: KeyHistory] = [:]
  private var lists: [String: ListHistory] = [:]

  public init() {}

  /// From `revision` on, and not before, `document` gives `key` this to show.
  public mutating func set(_ key: String, document: String = "", _ showing: Showing, at revision: Revision) {
    _ = keys[key, default: KeyHistory()].append(showing, of: document, from: revision, by: revision)
  }

  /// From `revision` on, and not before, `members` answer `key` together, in this order: the first is the value, and
  /// the answer names the others. Without members the key has no answer; with nil it is not known what it answers.
  ///
  /// Such an answer changes when any of its members does, whether a reply shows that or not.
  public mutating func set(_ key: String, members: [Member]?, at revision: Revision) {
    _ = keys[key, default: KeyHistory()].append(members, from: revision, by: revision)
  }

  /// From `revision` on, and not before, the list has these rows; nil: it is not known which.
  public mutating func set(_ list: String, rows: [ListRow]?, at revision: Revision) {
    lists[list, default: ListHistory()].append(rows, from: revision, by: revision)
  }

  /// From some moment on `members` answer `key` together; when is not known yet.
  public mutating func attempt(_ key: String, members: [Member]) -> Attempt {
    Attempt(key: key, version: keys[key, default: KeyHistory()].append(members, by: Revision(.max)))
  }

  /// From some moment on `document` gives `key` this to show; when is not known yet.
  public mutating func attempt(_ key: String, document: String = "", _ showing: Showing) -> Attempt {
    Attempt(key: key, version: keys[key, default: KeyHistory()].append(showing, of: document, by: Revision(.max)))
  }

  /// What was attempted is true at `revision` at the latest.
  public mutating func acknowledge(_ attempt: Attempt, by revision: Revision) {
    keys[attempt.key]?.acknowledge(attempt.version, by: revision)
  }

  /// Every key that ever had an answer, in order.
  public var allKeys: [String] { keys.keys.sorted() }

  /// What the key answers once everything has been seen.
  public func last(_ key: String) -> String? { keys[key]?.last }

  /// The members that answer the key together once everything has been seen; empty where none do.
  public func lastMembers(_ key: String) -> [Member] {
    guard let history = keys[key], let label = history.last else { return [] }
    return history.groups[label] ?? []
  }

  func list(_ name: String) -> ListHistory { lists[name] ?? ListHistory() }

  subscript(key: String) -> KeyHistory { keys[key] ?? KeyHistory() }

  /// For messages.
  func describe(_ key: String, _ known: KeyHistory? = nil) -> String {
    let history = known ?? self[key]
    if history.documents.isEmpty { return "\(key) never had an answer" }
    let documents = history.documents.map { document in
      let versions = document.versions.suffix(6).map { version in
        let text =
          switch version.showing {
          case .nothing: "nothing"
          case .label(let label, _): label
          case .bad: "bad"
          case .unknown: "unknown"
          }
        return version.by == Revision(.max) ? "\(text) (when is unknown)" : "\(text) by \(version.by.short)"
      }
      return "\(document.id.isEmpty ? "" : document.id + ": ")\(versions.joined(separator: ", "))"
    }
    return "\(key) was \(documents.joined(separator: "; "))"
  }
}

extension Revision {
  /// `seconds.increment`, easier to compare by eye.
  public var short: String { "\(seconds).\(increment)" }
}
