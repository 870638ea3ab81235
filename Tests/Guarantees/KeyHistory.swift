internal import Core

/// What a document gives a cache key to show, from some moment on.
public enum Showing: Sendable, Hashable {
  /// The document is gone, or outside the filter, or stands under another key.
  case nothing
  /// A text that stands for the content: equal content, equal label. Of several documents the one with the greatest
  /// rank answers; then the one with the greater identifier.
  case label(String, rank: [Int] = [])
  /// The document matches the filter and breaks a rule: its last good version stands in for it, as far as a server
  /// has had one.
  case bad
  /// It is not known what is shown: any answer is accepted.
  case unknown
}

/// One of the documents that a key answers together.
public struct Member: Sendable, Hashable {
  /// The name by which replies list the members after the first.
  public let name: String
  public let label: String

  public init(_ name: String, _ label: String) {
    self.name = name
    self.label = label
  }
}

/// What was true of one cache key, and when: for each document that ever claimed it, its versions in order.
///
/// Nearly always one document. Where several claim a key, what may be answered is decided for each document by itself,
/// and the greatest of what may be shown together answers.
struct KeyHistory: Sendable {
  struct Version: Sendable {
    let showing: Showing
    /// Not true before this revision.
    let from: Revision
    /// True at this revision at the latest; `.max` while nobody knows.
    var by: Revision
  }

  struct Document: Sendable {
    let id: String
    /// The first: nothing, since ever.
    var versions = [Version(showing: .nothing, from: .none, by: .none)]

    /// The version that is surely true at `revision`, or one that is followed by those that may be.
    func position(at revision: Revision) -> Int {
      versions.lastIndex { $0.by <= revision } ?? 0
    }
  }

  /// What a viewer has seen of a document: it cannot see anything older afterwards.
  struct Bound: Sendable, Hashable {
    /// The version that is in force is this or a later one.
    var position = 0
    /// What is shown is this version or a later one: differs from `position` where a bad version is in force.
    var shown = 0
  }

  /// By place in ``documents``; missing ones are ``Bound/init()``.
  typealias Bounds = [Bound]

  private(set) var documents: [Document] = []
  /// The members of each answer that several documents give together, by the label of the whole answer. Empty where one
  /// document answers the key.
  private(set) var groups: [String: [Member]] = [:]
  /// Whether several documents answer together.
  private(set) var isGroup = false

  /// `from` nil: some moment after the version before, whose latest moment is known by then.
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

  /// The members together answer the key; none: the key has no answer; nil: it is not known which.
  mutating func append(
    _ members: [Member]?, from: Revision? = nil, by revision: Revision
  ) -> (document: Int, version: Int) {
    isGroup = true
    guard let members else { return append(.unknown, of: "", from: from, by: revision) }
    let label = members.map { "\($0.name)=\($0.label)" }.joined(separator: " + ")
    groups[label] = members
    return append(members.isEmpty ? .nothing : .label(label), of: "", from: from, by: revision)
  }

  /// The answers of a group that may have been given as of `revision`, latest first; nil where nothing is known.
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

  /// Everything that is surely true at `revision` has been seen.
  func bounds(at revision: Revision) -> Bounds {
    documents.map { Bound(position: $0.position(at: revision), shown: 0) }
  }

  /// What a viewer has seen at least that sees `label` (nil: no answer) as the state of `revision`, no older and no
  /// newer; nil if it was not so then.
  ///
  /// Says nothing of a document that was ever bad: a server may have passed over the good versions that another had.
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

  /// What a viewer with `bounds` has seen at least, if it now sees `label` (nil: no answer); nil if it must not.
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

  /// Whether one document after the other can be seen so, although never at one moment: as half of a transaction.
  func canBeSeenInParts(_ label: String?) -> Bool {
    guard let label else { return allShow([], except: nil) { showing, _ in showing == .nothing } != nil }
    return documents.indices.contains { winning(label, of: $0, []) != nil }
  }

  /// No earlier than this was the key as a viewer with `bounds` has seen it.
  func moment(of bounds: Bounds) -> Revision {
    var moment = Revision.none
    for (document, bound) in zip(documents, bounds) where bound.position < document.versions.count {
      moment = max(moment, document.versions[bound.position].from)
    }
    return moment
  }

  /// The label that answers once everything has been seen; nil where none does. Means something without bad documents.
  var last: String? {
    var best: (label: String, rank: [Int], id: String)?
    for document in documents {
      guard case .label(let label, let rank)? = document.versions.last?.showing else { continue }
      if let best, !Self.wins(rank, document.id, over: best.rank, best.id) { continue }
      best = (label, rank, document.id)
    }
    return best?.label
  }

  /// Whether the key ever had this to show.
  func knows(_ label: String) -> Bool {
    documents.contains { document in
      document.versions.contains { version in
        if case .label(label, _) = version.showing { true } else { false }
      }
    }
  }

  // MARK: Beneath

  /// What `see` finds from the earliest bounds on that are of one moment: of documents that change at one revision, all
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

  /// The document at `place` shows `label`, and no other one wins over it.
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

  /// Each document, at the earliest version at which it shows something that `admits`; nil if one never does.
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
      // It may as well be a later, bad version that an older one stands in for.
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

  /// What has been seen by both counts.
  static func higher(_ left: Bounds, _ right: Bounds) -> Bounds {
    (0..<max(left.count, right.count)).map { place in
      let one = place < left.count ? left[place] : Bound()
      let other = place < right.count ? right[place] : Bound()
      return Bound(position: max(one.position, other.position), shown: max(one.shown, other.shown))
    }
  }
}
