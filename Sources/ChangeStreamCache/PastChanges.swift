internal import BSON
internal import Core

/// Which keys changed before the cache was loaded, as far as their changes tell it.
///
/// A document as of a change names its key; an update names only fields, and a delete only the `_id`. Where the key
/// that a document had before a change cannot be known, nothing up to that change is exact: the floor rises above it.
/// So what is marked from the floor on is every key whose answer changed, and perhaps some whose answer did not.
struct PastChanges: Sendable {
  /// The last change of a key.
  struct Mark: Sendable {
    let revision: Revision
    let committedAt: WallTime
    let operation: String
    let itemID: String
  }

  /// From here on every key whose answer changed is marked.
  private(set) var floor: Revision
  private let keyFields: Set<String>?
  private var keys: [LookupKey: Mark] = [:]
  /// Documents that stayed under their key: that key is known once the collection has been read.
  private var documents: [DocumentID: Mark] = [:]
  /// The key that the changes so far say a document stands under: an inner nil is none. Never from a document that was
  /// looked up, which may be newer than changes still to come.
  private var exact: [DocumentID: LookupKey?] = [:]

  /// `keyFields` are the fields that a change of key or filter must touch; nil: it may be any.
  init(from floor: Revision, keyFields: Set<String>?) {
    self.floor = floor
    self.keyFields = keyFields
  }

  /// Takes the next change in order; `reading` is of the document that it carries.
  mutating func take(_ change: PastChange, _ reading: Reading?) {
    guard let id = change.id else {
      raiseFloor(above: change.revision)
      exact = [:]
      return
    }
    let mark = Mark(
      revision: change.revision,
      committedAt: change.committedAt ?? WallTime(milliseconds: Int64(change.revision.seconds) * 1000),
      operation: change.operation.name, itemID: id.text)
    switch change.operation {
    case .insert:
      // There was none before it.
      if exact[id] == nil { exact[id] = .some(nil) }
      replace(id, reading, mark)
    case .replace:
      replace(id, reading, mark)
    case .update(let fields):
      if keyFields.map({ $0.isDisjoint(with: fields) }) ?? false {
        if case .some(let key?) = exact[id] { keys[key] = mark }
      } else {
        leave(id, mark)
        exact[id] = nil
      }
      documents[id] = mark
    case .delete:
      leave(id, mark)
      exact[id] = .some(nil)
    case .other:
      raiseFloor(above: change.revision)
      exact = [:]
    }
  }

  /// The marked keys, once the collection has been read.
  mutating func marks(in set: DocumentSet) -> [(key: LookupKey, mark: Mark)] {
    var marks = keys
    for (id, mark) in documents {
      guard let stored = set.documents[id] else { continue }
      if let key = stored.entry?.key {
        if marks[key].map({ $0.revision < mark.revision }) ?? true { marks[key] = mark }
      } else {
        // Bad, and what it was before is not known.
        raiseFloor(above: mark.revision)
      }
    }
    return marks.filter { $0.value.revision >= floor }.map { ($0.key, $0.value) }
      .sorted { ($0.mark.revision, $0.key.text) < ($1.mark.revision, $1.key.text) }
  }

  private mutating func replace(_ id: DocumentID, _ reading: Reading?, _ mark: Mark) {
    // A bad document is stood in for by its last good version, under whatever key that has.
    if case .bad = reading {
      if exact[id] == nil { raiseFloor(above: mark.revision) }
      return
    }
    leave(id, mark)
    var key: LookupKey?
    if case .good(let entry) = reading { key = entry.key }
    if let key { keys[key] = mark }
    exact[id] = .some(key)
  }

  /// The document leaves the key that it had.
  private mutating func leave(_ id: DocumentID, _ mark: Mark) {
    switch exact[id] {
    case .some(let key?): keys[key] = mark
    case .some(nil): break
    case nil: raiseFloor(above: mark.revision)
    }
  }

  private mutating func raiseFloor(above revision: Revision) {
    floor = max(floor, Revision(revision.rawValue + 1))
  }
}
