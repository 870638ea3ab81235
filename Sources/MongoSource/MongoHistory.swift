internal import BSON
internal import ChangeStreamCache
internal import Core

/// Reads past changes of a collection from the oplog, by the two commands that a change stream is made of.
///
/// Not by the driver's change stream: that opens itself again after an error, without end where the server needs longer
/// than a socket's timeout; here the first error is the end. One thread.
///
/// https://www.mongodb.com/docs/manual/changeStreams/#start-change-stream
struct MongoHistory {
  private static var batchSize: Int { 1000 }
  /// The cursor must not wait for what is still to come.
  private static var awaitMilliseconds: Int { 1 }

  private let pool: MongoClientPool
  private let namespace: MongoNamespace

  init(pool: MongoClientPool, namespace: MongoNamespace) {
    self.pool = pool
    self.namespace = namespace
  }

  /// What ended a cursor.
  private enum End {
    case all
    /// The collection was dropped or renamed: the server closes the cursor, and there may be more after it.
    case invalidated(at: Revision)
  }

  /// Gives every change from `revision` up to `end`, in order.
  func read(from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool) throws(SourceError) {
    var start = revision
    while case .invalidated(let revision) = try readCursor(from: start, through: end, body), revision < end {
      start = Revision(revision.rawValue + 1)
    }
  }

  private func readCursor(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) -> End {
    let start = #"{"$timestamp": {"t": \#(revision.seconds), "i": \#(revision.increment)}}"#
    var reply = try command(
      #"""
      {"aggregate": \#(quoted(namespace.collection)),
       "pipeline": [{"$changeStream": {"startAtOperationTime": \#(start)}}],
       "cursor": {"batchSize": \#(Self.batchSize)}, "readConcern": {"level": "majority"}}
      """#)
    // An empty batch proves that there is nothing up to a time that was known before it was asked for.
    var known = Revision.none
    var batch = try Batch(reply, "firstBatch", at: pool.place)
    defer { close(batch.cursorID) }
    while true {
      for change in batch.changes {
        if change.revision > end { return .all }
        guard body(change) else { return .all }
        if case .other("invalidate") = change.operation { return .invalidated(at: change.revision) }
      }
      if batch.cursorID == 0 || (batch.changes.isEmpty && known >= end) { return .all }
      known = max(known, batch.operationTime)
      reply = try command(
        #"""
        {"getMore": {"$numberLong": "\#(batch.cursorID)"}, "collection": \#(quoted(namespace.collection)),
         "batchSize": \#(Self.batchSize), "maxTimeMS": \#(Self.awaitMilliseconds)}
        """#)
      batch = try Batch(reply, "nextBatch", at: pool.place)
    }
  }

  /// A cursor that is left would be closed by the server itself, later.
  private func close(_ cursorID: Int64) {
    guard cursorID != 0 else { return }
    _ = try? command(
      #"{"killCursors": \#(quoted(namespace.collection)), "cursors": [{"$numberLong": "\#(cursorID)"}]}"#)
  }

  private func command(_ json: String) throws(SourceError) -> BSONDocument {
    do {
      return try pool.command(BSONDocument(json: json), database: namespace.database)
    } catch let error as MongoError {
      throw SourceError(error, at: pool.place)
    } catch {
      throw SourceError(.transient, "\(error)")
    }
  }
}

/// One reply of the cursor.
private struct Batch {
  let cursorID: Int64
  let changes: [PastChange]
  let operationTime: Revision

  init(_ reply: BSONDocument, _ name: String, at place: String) throws(SourceError) {
    var cursorID: Int64?
    var changes: [PastChange] = []
    var operationTime = Revision.none
    reply.withObject { reply in
      let time = reply.value("operationTime")?.timestamp
      operationTime = time.map { Revision(seconds: $0.seconds, increment: $0.increment) } ?? .none
      guard let cursor = reply.value("cursor").flatMap({ BSONObject(elementsOf: $0) }) else { return }
      cursorID = cursor.value("id").flatMap { $0.int64 ?? $0.int32.map(Int64.init) }
      guard let events = cursor.value(name).flatMap({ BSONObject(elementsOf: $0) }) else { return }
      events.forEach { _, event in
        if let event = BSONObject(elementsOf: event) { changes.append(PastChange(event: event)) }
        return true
      }
    }
    guard let cursorID else { throw SourceError(.transient, "\(place): a reply without a cursor") }
    self.cursorID = cursorID
    self.changes = changes
    self.operationTime = operationTime
  }
}
