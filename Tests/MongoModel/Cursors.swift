// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A cursor of a member.
struct ServerCursor {
  enum Kind {
    case find(FindCursor)
    case changeStream(ChangeStreamState)
  }

  var namespace: Namespace
  var kind: Kind
}

/// A read of a collection. Each batch reads the majority's documents of its own time, as without a snapshot.
struct FindCursor {
  var rows: Store.Rows
  var filter: Filter
  var projection: Projection?
  var isMajority: Bool
  /// The next place to look at.
  var place = 0
  /// How many documents are still to be skipped, and to be returned.
  var skip = 0
  var limit = Int.max
}

extension MongodModel {
  /// The time of which a read sees the documents. It waits until a causally consistent read can begin
  /// (`waitForReadConcern`).
  mutating func readTime(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) -> Revision {
    let concern = request.readConcern
    attempt.isMajority = concern.level == "majority"
    let node = set.members[member]
    if node.state == .secondary,
      request.body.field("$readPreference")?.document?.field("mode")?.text ?? "primary" == "primary"
    {
      throw .failed(.notPrimaryNoSecondaryOk)
    }
    if let after = concern.after {
      guard after <= set.clusterTime else {
        throw .failed(
          CommandError(
            72, "InvalidOptions",
            "readConcern afterClusterTime value must not be greater than the current clusterTime"))
      }
      if after > node.lastApplied, node.state == .primary, !attempt.hasWrittenNoop {
        // The server writes a no-op so that the wait ends.
        attempt.hasWrittenNoop = true
        set.append([], at: member)
      }
      if after > (attempt.isMajority ? set.members[member].commitPoint : set.members[member].lastApplied) {
        throw .wait(until: limit(request, attempt))
      }
    }
    return attempt.isMajority ? set.members[member].commitPoint : set.members[member].lastApplied
  }

  private func limit(_ request: Request, _ attempt: Attempt) -> Double {
    let milliseconds = request.body.field("maxTimeMS")?.integer ?? 0
    return milliseconds > 0 ? attempt.startedAt + Double(milliseconds) / 1000 : .infinity
  }

  mutating func find(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    let time = try readTime(request, at: member, &attempt)
    let filter = try compile(request.body.field("filter")?.document ?? .empty)
    guard let collection = set.members[member].store.collection(request.namespace, asOf: time) else {
      return Self.cursorReply(id: 0, request.namespace, "firstBatch", [])
    }
    var cursor = FindCursor(rows: collection.rows, filter: filter, isMajority: attempt.isMajority)
    cursor.projection = request.body.field("projection")?.document.flatMap(Projection.init)
    cursor.skip = Int(request.body.field("skip")?.integer ?? 0)
    let limit = request.body.field("limit")?.integer ?? 0
    if limit != 0 { cursor.limit = Int(limit.magnitude) }
    let size = request.body.field("batchSize")?.integer.map { Int($0) } ?? 101
    let (batch, isAtEnd) = batch(&cursor, size: size, asOf: time)
    var id: Int64 = 0
    if !isAtEnd, request.body.field("singleBatch")?.isTrue != true, limit >= 0 {
      id = nextCursorID()
      set.members[member].cursors[id] = ServerCursor(namespace: request.namespace, kind: .find(cursor))
    }
    return Self.cursorReply(id: id, request.namespace, "firstBatch", batch)
  }

  func compile(_ filter: BSONDocument) throws(Interruption) -> Filter {
    do throws(CommandError) { return try Filter(filter) } catch { throw .failed(error) }
  }

  /// Reads on, up to a number of documents or 16 MiB.
  private func batch(
    _ cursor: inout FindCursor, size: Int, asOf time: Revision
  ) -> (documents: [BSONDocument], isAtEnd: Bool) {
    var documents: [BSONDocument] = []
    var byteCount = 0
    if let ids = cursor.filter.ids, cursor.place == 0, ids.count < 1000 {
      // As by the index of `_id`.
      let places = ids.compactMap { cursor.rows.place(of: $0) }.sorted()
      let found = places.compactMap { cursor.rows.document(at: $0, asOf: time) }.filter(cursor.filter.matches)
      return (found.dropFirst(cursor.skip).prefix(cursor.limit).map { cursor.projection?.project($0) ?? $0 }, true)
    }
    while cursor.place < cursor.rows.count, documents.count < size, cursor.limit > 0 {
      defer { cursor.place += 1 }
      guard let document = cursor.rows.document(at: cursor.place, asOf: time), cursor.filter.matches(document) else {
        continue
      }
      guard cursor.skip == 0 else {
        cursor.skip -= 1
        continue
      }
      documents.append(cursor.projection?.project(document) ?? document)
      cursor.limit -= 1
      byteCount += document.bytes.count
      if byteCount > 16_000_000 {
        cursor.place += 1
        defer { cursor.place -= 1 }
        return (documents, cursor.place >= cursor.rows.count || cursor.limit == 0)
      }
    }
    // A cursor whose first batch is empty by request remains open.
    return (documents, (cursor.place >= cursor.rows.count || cursor.limit == 0) && size > 0)
  }

  mutating func getMore(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    let id = request.body.field("getMore")?.integer ?? 0
    guard let cursor = set.members[member].cursors[id] else {
      attempt.isChangeStream = true
      throw .failed(CommandError(43, "CursorNotFound", "cursor id \(id) not found"))
    }
    if [.recovering, .rollback].contains(set.members[member].state) { throw .failed(.recovering) }
    switch cursor.kind {
    case .changeStream(var stream):
      attempt.isMajority = true
      attempt.isChangeStream = true
      let end = attempt.begunAt + Double(request.body.field("maxTimeMS")?.integer ?? 1000) / 1000
      let size = request.body.field("batchSize")?.integer.map { Int($0) } ?? .max
      let events: [BSONDocument]
      do throws(Interruption) {
        events = try nextEvents(&stream, at: member, &attempt, size: size, awaitingUntil: end)
      } catch {
        // What has been scanned is not scanned again by the next attempt.
        if case .wait = error {
          set.members[member].cursors[id]?.kind = .changeStream(stream)
        } else {
          set.members[member].cursors[id] = nil
        }
        throw error
      }
      set.members[member].cursors[id]?.kind = .changeStream(stream)
      if stream.isInvalidated { set.members[member].cursors[id] = nil }
      return Self.cursorReply(
        id: stream.isInvalidated ? 0 : id, cursor.namespace, "nextBatch", events, token: stream.token)
    case .find(var find):
      attempt.isMajority = find.isMajority
      let node = set.members[member]
      let isThere = node.store.collections.values.contains { $0.rows === find.rows }
      guard isThere else {
        set.members[member].cursors[id] = nil
        throw .failed(CommandError(175, "QueryPlanKilled", "collection dropped"))
      }
      let size = request.body.field("batchSize")?.integer.map { $0 == 0 ? Int.max : Int($0) } ?? .max
      let (documents, isAtEnd) = batch(
        &find, size: size, asOf: find.isMajority ? node.commitPoint : node.lastApplied)
      set.members[member].cursors[id] = isAtEnd ? nil : ServerCursor(namespace: cursor.namespace, kind: .find(find))
      return Self.cursorReply(id: isAtEnd ? 0 : id, cursor.namespace, "nextBatch", documents)
    }
  }

  mutating func killCursors(_ request: Request, at member: Int) -> BSONBuilder {
    let ids = request.body.field("cursors")?.elements ?? []
    var killed: [OwnedValue] = []
    for id in ids where set.members[member].cursors.removeValue(forKey: id.integer ?? 0) != nil { killed.append(id) }
    var reply = BSONBuilder()
    reply.append("cursorsKilled", OwnedValue(array: killed))
    reply.append("cursorsNotFound", OwnedValue(array: ids.filter { !killed.contains($0) }))
    reply.append("cursorsAlive", OwnedValue(array: []))
    reply.append("cursorsUnknown", OwnedValue(array: []))
    return reply
  }

  mutating func count(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    let time = try readTime(request, at: member, &attempt)
    let filter = try compile(request.body.field("query")?.document ?? .empty)
    let rows = set.members[member].store.collection(request.namespace, asOf: time)?.rows
    let number = (0..<(rows?.count ?? 0)).count {
      rows?.document(at: $0, asOf: time).map(filter.matches) ?? false
    }
    var reply = BSONBuilder()
    reply.append("n", Int32(number))
    return reply
  }

  func listCollections(_ request: Request, at member: Int) throws(Interruption) -> BSONBuilder {
    let filter = try compile(request.body.field("filter")?.document ?? .empty)
    let names = set.members[member].store.collections.filter { $0.key.database == request.database }
    let documents = names.sorted { $0.key.collection < $1.key.collection }.map { namespace, collection in
      BSONDocument {
        $0.append("name", namespace.collection)
        $0.append("type", "collection")
        $0.append("options") {
          if collection.hasImages {
            $0.append("changeStreamPreAndPostImages") { $0.append("enabled", true) }
          }
        }
        $0.append("info") { $0.append("uuid", uuid: collection.rows.uuid) }
      }
    }
    return Self.cursorReply(
      id: 0, Namespace(request.database, "$cmd.listCollections"), "firstBatch", documents.filter(filter.matches))
  }

  /// The reply with a batch of a cursor.
  static func cursorReply(
    id: Int64, _ namespace: Namespace, _ name: String, _ documents: [BSONDocument], token: BSONDocument? = nil
  ) -> BSONBuilder {
    var reply = BSONBuilder()
    reply.append("cursor") { cursor in
      cursor.append(name, array: documents)
      if let token { cursor.append("postBatchResumeToken", token) }
      cursor.append("id", id)
      cursor.append("ns", namespace.description)
    }
    return reply
  }
}
