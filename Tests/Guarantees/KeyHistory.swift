// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// What a document contributes to the answer of a cache key from some time on.
public enum Showing: Sendable, Hashable {
  /// Nothing: the document is deleted, outside of the filter, or has another key.
  case nothing
  /// A label that identifies the content: equal contents have equal labels. Of several documents, the one with the
  /// greatest rank is the answer, then the one with the greater identifier.
  case label(String, rank: [Int] = [])
  /// The document matches the filter and violates a rule. Its last valid version replaces it, if the server has read
  /// one.
  case bad
  /// The content is not known: any answer is accepted.
  case unknown
}

/// One of the documents that answer a key together.
public struct Member: Sendable, Hashable {
  /// The name by which replies list the members after the first.
  public let name: String
  /// The label of the member's content.
  public let label: String

  /// Creates a member.
  ///
  /// - Parameters:
  ///   - name: the name by which replies list the member.
  ///   - label: the label of the member's content.
  public init(_ name: String, _ label: String) {
    self.name = name
    self.label = label
  }
}

/// The states of one cache key and their times: for each document that ever claimed the key, its versions in order.
///
/// There is nearly always one document. If several documents claim a key, the possible versions are determined for each
/// document separately, and the greatest of the versions that are possible together is the answer.
struct KeyHistory: Sendable {
  struct Version: Sendable {
    let showing: Showing
    /// The version is not in force before this revision.
    let from: Revision
    /// The version is in force at this revision at the latest; `.max` while that is not known.
    var by: Revision
  }

  struct Document: Sendable {
    let id: String
    /// The first version is nothing, since the beginning.
    var versions = [Version(showing: .nothing, from: .none, by: .none)]

    /// The index of the version that is certainly in force at `revision`. Later versions may be in force as well.
    func position(at revision: Revision) -> Int {
      versions.lastIndex { $0.by <= revision } ?? 0
    }
  }

  /// A lower bound of the versions of a document that a viewer has seen. The viewer must not see older ones afterwards.
  struct Bound: Sendable, Hashable {
    /// The version in force is this one or a later one.
    var position = 0
    /// The shown version is this one or a later one. It differs from `position` if the version in force is invalid.
    var shown = 0
  }

  /// The bounds by index in ``documents``; missing ones are ``Bound/init()``.
  typealias Bounds = [Bound]

  private(set) var documents: [Document] = []
  /// For each label of an answer that several documents determine together, its members. Empty if one document answers
  /// the key.
  private(set) var groups: [String: [Member]] = [:]
  /// Whether several documents answer the key together.
  private(set) var isGroup = false

  /// Appends a version of a document. If `from` is nil, the version begins at an unknown time after the previous one,
  /// whose latest time must be known by then.
  mutating func append(
    _ showing: Showing, of id: String, from: Revision? = nil, by revision: Revision
  ) -> (document: Int, version: Int) {
    let place: Int
    if let known = documents.firstIndex(where: { $0.id == id }) {
      place = known
    } else {
      place = documents.count
      documents.append(Document(id: id))
    }
    let before = documents[place].versions.last?.by ?? .none
    let after = before == Revision(.max) ? .none : Revision(before.rawValue + 1)
    documents[place].versions.append(Version(showing: showing, from: from ?? after, by: revision))
    return (place, documents[place].versions.count - 1)
  }

  /// Appends an answer of several members. Without members the key has no answer; nil means that the members are not
  /// known.
  mutating func append(
    _ members: [Member]?, from: Revision? = nil, by revision: Revision
  ) -> (document: Int, version: Int) {
    isGroup = true
    guard let members else { return append(.unknown, of: "", from: from, by: revision) }
    let label = members.map { "\($0.name)=\($0.label)" }.joined(separator: " + ")
    groups[label] = members
    return append(members.isEmpty ? .nothing : .label(label), of: "", from: from, by: revision)
  }

  /// The answers of a group that may be in force as of `revision`, the latest first; nil if they are not known.
  func groups(asOf revision: Revision) -> [(label: String, members: [Member])]? {
    guard let versions = documents.first?.versions, let position = documents.first?.position(at: revision) else {
      return []
    }
    var found: [(String, [Member])] = []
    for version in versions[position...].reversed() where version.from <= revision {
      switch version.showing {
      case .unknown: return nil
      case .label(let label, _): if let members = groups[label] { found.append((label, members)) }
      case .nothing, .bad: break
      }
    }
    return found
  }

  mutating func acknowledge(_ version: (document: Int, version: Int), by revision: Revision) {
    let known = documents[version.document].versions[version.version].by
    documents[version.document].versions[version.version].by = min(known, revision)
  }

  /// The bounds of a viewer that has seen everything that is certainly in force at `revision`.
  func bounds(at revision: Revision) -> Bounds {
    documents.map { Bound(position: $0.position(at: revision), shown: 0) }
  }

  /// Returns the lower bounds of a viewer that sees `label` (nil for no answer) as the state of exactly `revision`.
  /// Returns nil if that was not the state then.
  ///
  /// A document that was ever invalid is not bounded, because a server may have passed over valid versions that another
  /// one has read.
  func seeing(_ label: String?, asOf revision: Revision) -> Bounds? {
    var then = self
    var bounds = bounds(at: revision)
    for place in documents.indices {
      if documents[place].versions.contains(where: { $0.showing == .bad }) {
        bounds[place] = Bound()
      } else {
        then.documents[place].versions.removeAll { $0.from > revision }
      }
    }
    return then.seeing(label, bounds)
  }

  /// Returns the new lower bounds of a viewer with `bounds` that now sees `label` (nil for no answer). Returns nil if
  /// it must not see this.
  func seeing(_ label: String?, _ bounds: Bounds) -> Bounds? {
    guard let label else {
      return ofOneMoment(bounds) { bounds in
        allShow(bounds, except: nil) { showing, _ in showing == .nothing || showing == .unknown }
      }
    }
    var found: Bounds?
    for place in documents.indices {
      guard let seen = ofOneMoment(bounds, { winning(label, of: place, $0) }) else { continue }
      found = found.map { Self.lower($0, seen) } ?? seen
    }
    return found
  }

  /// Whether the state can be seen one document after the other, although it was never in force at one time: for
  /// example as half of a transaction.
  func canBeSeenInParts(_ label: String?) -> Bool {
    guard let label else { return allShow([], except: nil) { showing, _ in showing == .nothing } != nil }
    return documents.indices.contains { winning(label, of: $0, []) != nil }
  }

  /// The earliest time at which the key was in a state that a viewer with `bounds` has seen.
  func moment(of bounds: Bounds) -> Revision {
    var moment = Revision.none
    for (document, bound) in zip(documents, bounds) where bound.position < document.versions.count {
      moment = max(moment, document.versions[bound.position].from)
    }
    return moment
  }

  /// The label of the final answer; nil if there is none. It is meaningful only without invalid documents.
  var last: String? {
    var best: (label: String, rank: [Int], id: String)?
    for document in documents {
      guard case .label(let label, let rank)? = document.versions.last?.showing else { continue }
      if let best, !Self.wins(rank, document.id, over: best.rank, best.id) { continue }
      best = (label, rank, document.id)
    }
    return best?.label
  }

  /// Whether the key ever had this label.
  func knows(_ label: String) -> Bool {
    documents.contains { document in
      document.versions.contains { version in
        if case .label(label, _) = version.showing { true } else { false }
      }
    }
  }

  // MARK: Private

  /// Applies `see` to the earliest bounds that belong to one time: of documents that change at one revision, either all
  /// have changed or none has.
  private func ofOneMoment(_ bounds: Bounds, _ see: (Bounds) -> Bounds?) -> Bounds? {
    var bounds = bounds
    while let seen = see(bounds) {
      let raised = Self.higher(seen, self.bounds(at: moment(of: seen)))
      if raised == seen { return seen }
      bounds = raised
    }
    return nil
  }

  /// Returns the bounds with which the document at `place` shows `label` and no other document wins over it.
  private func winning(_ label: String, of place: Int, _ bounds: Bounds) -> Bounds? {
    guard let (own, rank) = earliest(place, bounds, showing: label) else { return nil }
    let id = documents[place].id
    let others = allShow(bounds, except: place) { showing, other in
      guard case .label(_, let otherRank) = showing else { return showing == .nothing || showing == .unknown }
      return !Self.wins(otherRank, other, over: rank, id)
    }
    guard var seen = others else { return nil }
    seen[place] = own
    return seen
  }

  private func bound(_ bounds: Bounds, _ place: Int) -> Bound {
    place < bounds.count ? bounds[place] : Bound()
  }

  /// Returns the bounds with each document at the earliest version that `admits` accepts; nil if one document never has
  /// such a version.
  private func allShow(_ bounds: Bounds, except: Int?, _ admits: (Showing, String) -> Bool) -> Bounds? {
    var seen: Bounds = []
    seen.reserveCapacity(documents.count)
    for place in documents.indices {
      if place == except {
        seen.append(Bound())
        continue
      }
      let document = documents[place]
      guard let bound = earliest(document, bound(bounds, place), { admits($0, document.id) }) else { return nil }
      seen.append(bound)
    }
    return seen
  }

  private func earliest(_ place: Int, _ bounds: Bounds, showing label: String) -> (Bound, rank: [Int])? {
    var found: [Int]?
    let bound = earliest(documents[place], bound(bounds, place)) { showing in
      if showing == .unknown {
        found = []
        return true
      }
      guard case .label(label, let rank) = showing else { return false }
      found = rank
      return true
    }
    guard let bound, let found else { return nil }
    return (bound, found)
  }

  private func earliest(_ document: Document, _ bound: Bound, _ admits: (Showing) -> Bool) -> Bound? {
    func admitted(_ range: Range<Int>) -> Int? {
      range.first { document.versions[$0].showing != .bad && admits(document.versions[$0].showing) }
    }
    for position in bound.position..<document.versions.count {
      if document.versions[position].showing == .bad {
        guard admitted(min(bound.shown, position)..<position) != nil else { continue }
      } else {
        guard admits(document.versions[position].showing) else { continue }
      }
      // The version in force may also be a later, invalid one that an older version replaces.
      return Bound(position: position, shown: admitted(bound.shown..<document.versions.count) ?? bound.shown)
    }
    return nil
  }

  private static func wins(_ rank: [Int], _ id: String, over otherRank: [Int], _ otherID: String) -> Bool {
    if rank != otherRank { return otherRank.lexicographicallyPrecedes(rank) }
    return otherID.utf8.lexicographicallyPrecedes(id.utf8)
  }

  private static func lower(_ left: Bounds, _ right: Bounds) -> Bounds {
    zip(left, right).map { left, right in
      Bound(position: min(left.position, right.position), shown: min(left.shown, right.shown))
    }
  }

  /// Combines the bounds of two viewers: what either has seen counts.
  static func higher(_ left: Bounds, _ right: Bounds) -> Bounds {
    (0..<max(left.count, right.count)).map { place in
      let one = place < left.count ? left[place] : Bound()
      let other = place < right.count ? right[place] : Bound()
      return Bound(position: max(one.position, other.position), shown: max(one.shown, other.shown))
    }
  }
}
