internal import BSON
internal import Core

/// The collection, read again beside what is served: rows of a snapshot, and the changes since it began.
///
/// A change always beats a row: a row may be older than a change that has already come, and a change that is older than
/// a row is followed by the change that made the row, before the reload ends. So the set is right as of the moment when
/// every change up to the end of the read has come, and not before.
struct Reload: Sendable {
  let number: UInt64
  let reason: Invalidation.Reason?
  /// Every change after this reaches the reload.
  let start: Revision
  let began: MonotonicTime
  /// The revision at the end of the read, once it has ended.
  var end: Revision?
  var documents: DocumentSet
  private var changed: Set<DocumentID> = []

  init(
    number: UInt64, reason: Invalidation.Reason?, start: Revision, began: MonotonicTime, spaces: [KeySpace]
  ) {
    documents = DocumentSet(spaces: spaces)
    self.number = number
    self.reason = reason
    self.start = start
    self.began = began
  }

  /// Takes a row, unless a change of the document has come.
  mutating func row(_ id: DocumentID, _ reading: Reading, known: DocumentSet.Stored?) {
    guard !changed.contains(id) else { return }
    _ = documents.set(id, share(reading, known), lastGood: known?.entry)
  }

  /// Takes a change whose turn it is.
  mutating func change(_ ready: ChangeQueue.Ready, known: DocumentSet.Stored?) {
    changed.insert(ready.id)
    _ = documents.set(ready.id, ready.reading.map { share($0, known) }, lastGood: known?.entry)
  }

  /// An entry that is served already is used again: no second copy of the bytes, and no difference to announce.
  private func share(_ reading: Reading, _ known: DocumentSet.Stored?) -> Reading {
    if case .good(let entry) = reading, let old = known?.entry, old.isSame(as: entry) { return .good(old) }
    return reading
  }
}

extension Entry {
  /// Whether the two answer alike under the same keys.
  func isSame(as other: Entry) -> Bool {
    etag == other.etag && keys == other.keys && precedence == other.precedence && listings == other.listings
      && bytes == other.bytes
  }
}
