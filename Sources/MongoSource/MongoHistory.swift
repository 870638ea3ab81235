internal import BSON
internal import ChangeStreamCache
internal import Core

/// Reads past changes of a collection from the oplog. One thread.
struct MongoHistory {
  private let pool: MongoClientPool
  private let namespace: MongoNamespace

  init(pool: MongoClientPool, namespace: MongoNamespace) {
    self.pool = pool
    self.namespace = namespace
  }

  /// Gives every change from `revision` up to `end`, in order.
  func read(from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool) throws(SourceError) {
    var start = revision
    // Where the collection was dropped or renamed the server closes the cursor, and there may be more after it.
    while let invalidated = try readCursor(from: start, through: end, body), invalidated < end {
      start = Revision(invalidated.rawValue + 1)
    }
  }

  /// The revision at which the server closed the cursor; nil: all has been read.
  private func readCursor(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) -> Revision? {
    let cursor = try ChangeStreamCursor(
      pool: pool, namespace: namespace, start: .at(revision),
      // What is still to come is not waited for.
      options: .init(bringsDocuments: false, reportedFields: [], awaitMilliseconds: 1))
    defer { cursor.close() }
    while true {
      // An empty batch proves that there is nothing up to a time that was known before it was asked for.
      let known = cursor.operationTime
      guard let event = try cursor.next() else {
        if known >= end { return nil }
        continue
      }
      let change = event.withObject(PastChange.init(event:))
      guard change.revision <= end, body(change) else { return nil }
      if case .other("invalidate") = change.operation { return change.revision }
    }
  }
}
