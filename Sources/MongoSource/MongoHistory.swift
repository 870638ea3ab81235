// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// Reads past changes of a collection from the oplog. Only one thread may use it.
struct MongoHistory {
  private let pool: MongoClientPool
  private let namespace: MongoNamespace

  init(pool: MongoClientPool, namespace: MongoNamespace) {
    self.pool = pool
    self.namespace = namespace
  }

  /// Passes every change from `revision` up to `end` to `body`, in order.
  func read(from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool) throws(SourceError) {
    var start = revision
    // After the collection was dropped or renamed, the server closes the cursor. More changes may follow.
    while let invalidated = try readCursor(from: start, through: end, body), invalidated < end {
      start = Revision(invalidated.rawValue + 1)
    }
  }

  /// Reads one cursor. Returns the revision at which the server closed it; nil if everything has been read.
  private func readCursor(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) -> Revision? {
    let cursor = try ChangeStreamCursor(
      pool: pool, namespace: namespace, start: .at(revision),
      // The read does not wait for future changes.
      options: .init(bringsDocuments: false, reportedFields: [], maximumAwaitTime: .milliseconds(1)))
    defer { cursor.close() }
    while true {
      // Where the tokens prove nothing, an empty batch does: there is no further change up to a time that was known
      // before the batch was requested.
      let known = cursor.progress.reportedTime
      guard let event = try cursor.next() else {
        if cursor.progress.received?.revision ?? known >= end { return nil }
        continue
      }
      let change = event.withObject(PastChange.init(event:))
      guard change.revision <= end, body(change) else { return nil }
      if case .other("invalidate") = change.operation { return change.revision }
    }
  }
}
