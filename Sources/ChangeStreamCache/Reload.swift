// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A read of the collection beside the served state: the rows of the snapshot, and the changes since its start.
///
/// A change always wins over a row. A row may be older than a change that has already been received; and if a change is
/// older than a row, the change that made the row follows before the reload ends. So the documents are correct at the
/// moment when every change up to the end of the read has been received, and not before.
struct Reload: Sendable {
  let number: UInt64
  let reason: Invalidation.Reason?
  /// Every change after this revision is added to the reload.
  let start: Revision
  let began: MonotonicTime
  /// The revision at the end of the read; nil while the read is in progress.
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

  /// Adds a row, unless a change of the document has been received.
  mutating func row(_ id: DocumentID, _ reading: Reading, known: DocumentSet.Stored?) {
    guard !changed.contains(id) else { return }
    _ = documents.set(id, share(reading, known), lastGood: known?.entry)
  }

  /// Adds a change that was released from the queue.
  mutating func change(_ ready: ChangeQueue.Ready, known: DocumentSet.Stored?) {
    changed.insert(ready.id)
    _ = documents.set(ready.id, ready.reading.map { share($0, known) }, lastGood: known?.entry)
  }

  /// Returns the served entry where the document is unchanged, so that there is no second copy of its bytes, and no
  /// difference to announce.
  private func share(_ reading: Reading, _ known: DocumentSet.Stored?) -> Reading {
    if case .good(let entry) = reading, let old = known?.entry, old.isSame(as: entry) { return .good(old) }
    return reading
  }
}

extension Entry {
  /// Whether both entries have the same content and the same keys.
  func isSame(as other: Entry) -> Bool {
    etag == other.etag && keys == other.keys && precedence == other.precedence && listings == other.listings
      && bytes == other.bytes
  }
}
