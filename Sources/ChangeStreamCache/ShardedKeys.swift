// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// The document keys of a sharded collection, which tell two documents with one `_id` apart.
///
/// An update of the shard key that moves a document to another shard is an insert there and a deletion here, of one
/// `_id`. The times of two shards are not in step, so the insert can be received first, and the deletion must not
/// remove what it has inserted. Collections that are not sharded have no keys here.
struct ShardedKeys: Sendable {
  private var keys: [DocumentID: BSONDocument] = [:]

  /// Records a change of a document.
  ///
  /// - Returns: whether the change takes effect. A deletion does not if its key is not that of the document that was
  ///   received last under this `_id`.
  mutating func admits(_ change: DocumentChange, _ id: DocumentID) -> Bool {
    guard let key = change.shardedKey else { return true }
    guard case .delete = change.operation else {
      keys[id] = key
      return true
    }
    if let held = keys[id], held != key { return false }
    keys[id] = nil
    return true
  }

  /// Forgets all keys: changes have been missed.
  mutating func removeAll() {
    keys.removeAll()
  }
}
