internal import BSON
internal import Core

/// Which keys changed before the cache was loaded, as far as their changes tell it.
///
/// A document as of a change names its keys; an update names only fields, and a delete only the `_id`. Where a key that
/// a document had before a change cannot be known, nothing up to that change is exact: the floor rises above it. So
/// what is marked from the floor on is every key whose answer changed, and perhaps some whose answer did not.
struct PastChanges: Sendable {
  /// The last change of a key.
  struct Mark: Sendable {
    let revision: Revision
    let committedAt: WallTime
    let operation: String
    let itemID: String
  }

  /// A space of keys that are announced, and the fields that a change of a document's key in it must touch; nil: it may
  /// be any.
  struct Space: Sendable {
    let number: UInt8
    let placingFields: Set<String>?
  }

  /// The keys that the changes so far say a document has. Never from a document that was looked up, which may be newer
  /// than changes still to come.
  private struct KnownKeys: Sendable {
    var keys: [LookupKey] = []
    /// The document has a key in these spaces that is not known, or none.
    var unknownSpaces: Set<UInt8>
  }

  /// From here on every key whose answer changed is marked.
  private(set) var floor: Revision
  private let spaces: [Space]
  private var keys: [LookupKey: Mark] = [:]
  /// Documents that stayed under some of their keys: those are known once the collection has been read.
  private var documents: [DocumentID: Mark] = [:]
  /// Of other documents no key is known.
  private var known: [DocumentID: KnownKeys] = [:]

  init(from floor: Revision, spaces: [Space]) {
    self.floor = floor
    self.spaces = spaces
  }

  /// Takes the next change in order; `reading` is of the document that it carries.
  mutating func take(_ change: PastChange, _ reading: Reading?) {
    guard let id = change.id else {
      raiseFloor(above: change.revision)
      known = [:]
      return
    }
    let mark = Mark(
      revision: change.revision,
      committedAt: change.committedAt ?? WallTime(milliseconds: Int64(change.revision.seconds) * 1000),
      operation: change.operation.name, itemID: id.text)
    switch change.operation {
    case .insert:
      // There was none before it.
      if known[id] == nil { known[id] = KnownKeys(unknownSpaces: []) }
      replace(id, reading, mark)
    case .replace:
      replace(id, reading, mark)
    case .update(let fields):
      let moved = spaces.filter { space in space.placingFields.map { !$0.isDisjoint(with: fields) } ?? true }
      leave(id, Set(moved.map(\.number)), mark)
      // What stays answers something else now.
      for key in known[id]?.keys ?? [] { keys[key] = mark }
      documents[id] = mark
    case .delete:
      leave(id, Set(spaces.map(\.number)), mark)
      known[id] = KnownKeys(unknownSpaces: [])
    case .other:
      raiseFloor(above: change.revision)
      known = [:]
    }
  }

  /// The marked keys, once the collection has been read.
  mutating func marks(in set: DocumentSet) -> [(key: LookupKey, mark: Mark)] {
    var marks = keys
    for (id, mark) in documents {
      guard let stored = set.documents[id] else { continue }
      if let entry = stored.entry {
        for key in announced(entry.keys) { Self.add(mark, for: key, to: &marks) }
      } else {
        // Bad, and what it was before is not known.
        raiseFloor(above: mark.revision)
      }
    }
    // Whether a document answers its primary key decides whether it counts under its other keys.
    for (key, mark) in marks {
      guard let claims = set.claims[key] else { continue }
      for entry in claims.all where entry.key == key {
        for other in announced(entry.keys) { Self.add(mark, for: other, to: &marks) }
      }
    }
    return marks.filter { $0.value.revision >= floor }.map { ($0.key, $0.value) }
      .sorted { ($0.mark.revision, $0.key.text, $0.key.space) < ($1.mark.revision, $1.key.text, $1.key.space) }
  }

  private static func add(_ mark: Mark, for key: LookupKey, to marks: inout [LookupKey: Mark]) {
    if marks[key].map({ $0.revision < mark.revision }) ?? true { marks[key] = mark }
  }

  private func announced(_ keys: [LookupKey]) -> [LookupKey] {
    keys.filter { key in spaces.contains { $0.number == key.space } }
  }

  private mutating func replace(_ id: DocumentID, _ reading: Reading?, _ mark: Mark) {
    // A bad document is stood in for by its last good version, under whatever keys that has.
    if case .bad = reading {
      if known[id].map({ !$0.unknownSpaces.isEmpty }) ?? true { raiseFloor(above: mark.revision) }
      return
    }
    leave(id, Set(spaces.map(\.number)), mark)
    var now: [LookupKey] = []
    if case .good(let entry) = reading { now = announced(entry.keys) }
    for key in now { keys[key] = mark }
    known[id] = KnownKeys(keys: now, unknownSpaces: [])
  }

  /// The document leaves the keys that it had in some spaces, for others that are not known yet.
  private mutating func leave(_ id: DocumentID, _ moved: Set<UInt8>, _ mark: Mark) {
    var before = known[id] ?? KnownKeys(unknownSpaces: Set(spaces.map(\.number)))
    guard !moved.isEmpty else { return }
    if !before.unknownSpaces.isDisjoint(with: moved) { raiseFloor(above: mark.revision) }
    for key in before.keys where moved.contains(key.space) { keys[key] = mark }
    before.keys.removeAll { moved.contains($0.space) }
    before.unknownSpaces.formUnion(moved)
    known[id] = before
  }

  private mutating func raiseFloor(above revision: Revision) {
    floor = max(floor, Revision(revision.rawValue + 1))
  }
}
