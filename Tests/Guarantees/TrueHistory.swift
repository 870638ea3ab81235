// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// The true states of each cache key, in order, from the point of view of the writers of the database.
///
/// It is independent of servers. With a simulated database, revisions are exact: ``set(_:document:_:at:)``. With a real
/// database, a write is first attempted (its label may be shown from now on) and then acknowledged with its operation
/// time, which is an upper bound. A write with an unknown outcome is repeated until it is acknowledged, and counts as
/// one attempt. The writes of one document must not overlap.
public struct TrueHistory: Sendable {
  /// A write that may be in progress.
  public struct Attempt: Sendable {
    fileprivate let key: String
    fileprivate let version: (document: Int, version: Int)
  }

  private var keys: [String: KeyHistory] = [:]
  private var lists: [String: ListHistory] = [:]

  /// Creates an empty history.
  public init() {}

  /// Records that a document contributes something to a key's answer from exactly one revision on.
  ///
  /// - Parameters:
  ///   - key: the cache key.
  ///   - document: the identifier of the document.
  ///   - showing: what the document contributes.
  ///   - revision: the revision from which this holds.
  public mutating func set(_ key: String, document: String = "", _ showing: Showing, at revision: Revision) {
    _ = keys[key, default: KeyHistory()].append(showing, of: document, from: revision, by: revision)
  }

  /// Records that several members answer a key together from exactly one revision on.
  ///
  /// Such an answer changes when any of its members changes, whether a reply shows the change or not.
  ///
  /// - Parameters:
  ///   - key: the cache key.
  ///   - members: the members in order: the first is the value, and the answer names the others. Without members the
  ///     key has no answer; nil means that the answer is not known.
  ///   - revision: the revision from which this holds.
  public mutating func set(_ key: String, members: [Member]?, at revision: Revision) {
    _ = keys[key, default: KeyHistory()].append(members, from: revision, by: revision)
  }

  /// Records the rows of a list from exactly one revision on.
  ///
  /// - Parameters:
  ///   - list: the name of the list.
  ///   - rows: the rows; nil if they are not known.
  ///   - revision: the revision from which this holds.
  public mutating func set(_ list: String, rows: [ListRow]?, at revision: Revision) {
    lists[list, default: ListHistory()].append(rows, from: revision, by: revision)
  }

  /// Records that several members answer a key together from a time on that is not known yet.
  ///
  /// - Parameters:
  ///   - key: the cache key.
  ///   - members: the members in order.
  /// - Returns: the attempt, for ``acknowledge(_:by:)``.
  public mutating func attempt(_ key: String, members: [Member]) -> Attempt {
    Attempt(key: key, version: keys[key, default: KeyHistory()].append(members, by: Revision(.max)))
  }

  /// Records that a document contributes something to a key's answer from a time on that is not known yet.
  ///
  /// - Parameters:
  ///   - key: the cache key.
  ///   - document: the identifier of the document.
  ///   - showing: what the document contributes.
  /// - Returns: the attempt, for ``acknowledge(_:by:)``.
  public mutating func attempt(_ key: String, document: String = "", _ showing: Showing) -> Attempt {
    Attempt(key: key, version: keys[key, default: KeyHistory()].append(showing, of: document, by: Revision(.max)))
  }

  /// Records that an attempted write is in force at a revision at the latest.
  ///
  /// - Parameters:
  ///   - attempt: the attempt.
  ///   - revision: the operation time of the acknowledgement.
  public mutating func acknowledge(_ attempt: Attempt, by revision: Revision) {
    keys[attempt.key]?.acknowledge(attempt.version, by: revision)
  }

  /// All keys that ever had an answer, in order.
  public var allKeys: [String] { keys.keys.sorted() }

  /// Returns the final answer of a key.
  ///
  /// - Parameter key: the cache key.
  /// - Returns: the label; nil if there is no answer.
  public func last(_ key: String) -> String? { keys[key]?.last }

  /// Returns the members of the final answer of a key.
  ///
  /// - Parameter key: the cache key.
  /// - Returns: the members in order; empty if there are none.
  public func lastMembers(_ key: String) -> [Member] {
    guard let history = keys[key], let label = history.last else { return [] }
    return history.groups[label] ?? []
  }

  func list(_ name: String) -> ListHistory { lists[name] ?? ListHistory() }

  subscript(key: String) -> KeyHistory { keys[key] ?? KeyHistory() }

  /// Describes the history of a key for messages.
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
  /// The revision as `seconds.increment`, which people can compare easily.
  public var short: String { "\(seconds).\(increment)" }
}
