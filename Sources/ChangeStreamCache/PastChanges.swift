// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// Collects the keys that changed before the cache was loaded, as far as the changes determine them.
///
/// A change with a document determines the document's keys; an update contains only fields, and a deletion only the
/// `_id`. Where a key that a document had before a change cannot be determined, nothing up to that change is exact, so
/// the floor is raised above it. From the floor on, the marked keys include every key whose answer changed, and
/// possibly some whose answer did not.
struct PastChanges: Sendable {
  /// The last change of a key.
  struct Mark: Sendable {
    let revision: Revision
    let committedAt: WallTime
    let operation: String
    let itemID: String
  }

  /// A space of announced keys, and the fields of which a change must touch at least one to change a document's key in
  /// the space; nil if any field may matter.
  struct Space: Sendable {
    let number: UInt8
    let placingFields: Set<String>?
  }

  /// The keys that a document has according to the changes so far. They never come from a looked-up document, which may
  /// be newer than changes that follow.
  private struct KnownKeys: Sendable {
    var keys: [LookupKey] = []
    /// The spaces in which the document has an unknown key, or none.
    var unknownSpaces: Set<UInt8>
  }

  /// From this revision on, every key whose answer changed is marked.
  private(set) var floor: Revision
  private let spaces: [Space]
  private var keys: [LookupKey: Mark] = [:]
  /// Documents that kept some of their keys. These keys are known when the collection has been read.
  private var documents: [DocumentID: Mark] = [:]
  /// The known keys of documents. For a document without an entry, no key is known.
  private var known: [DocumentID: KnownKeys] = [:]

  init(from floor: Revision, spaces: [Space]) {
    self.floor = floor
    self.spaces = spaces
  }

  /// Processes the next change, in order. `reading` is the result of reading its document.
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
      // The document did not exist before the insert.
      if known[id] == nil { known[id] = KnownKeys(unknownSpaces: []) }
      replace(id, reading, mark)
    case .replace:
      replace(id, reading, mark)
    case .update(let fields):
      let moved = spaces.filter { space in space.placingFields.map { !$0.isDisjoint(with: fields) } ?? true }
      leave(id, Set(moved.map(\.number)), mark)
      // The keys that remain have another answer now.
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

  /// Returns the marked keys, after the collection has been read.
  mutating func marks(in set: DocumentSet) -> [(key: LookupKey, mark: Mark)] {
    var marks = keys
    for (id, mark) in documents {
      guard let stored = set.documents[id] else { continue }
      if let entry = stored.entry {
        for key in announced(entry.keys) { Self.add(mark, for: key, to: &marks) }
      } else {
        // The document is invalid, and its earlier version is not known.
        raiseFloor(above: mark.revision)
      }
    }
    // Whether a document answers its primary key decides whether it is a member under its other keys.
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
    // An invalid document is replaced by its last valid version, whose keys may be any.
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

  /// Removes the keys that the document had in some spaces. Its new keys there are not known yet.
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
