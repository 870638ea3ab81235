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
      return allShow(bounds, except: nil) { showing, _ in showing == .nothing }
    }
    var found: Bounds?
    for place in documents.indices {
      guard let (own, rank) = earliest(place, bounds, showing: label) else { continue }
      let id = documents[place].id
      let others = allShow(bounds, except: place) { showing, other in
        guard case .label(_, let otherRank) = showing else { return showing == .nothing }
        return !Self.wins(otherRank, other, over: rank, id)
      }
      guard var seen = others else { continue }
      seen[place] = own
      found = found.map { Self.lower($0, seen) } ?? seen
    }
    return found
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
