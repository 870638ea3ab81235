// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A transaction in progress: its changes, which only it sees.
struct TransactionState {
  var operations: [Operation] = []
  /// The collections that it creates when it is committed.
  var created: [Operation] = []
}

/// The changes of a command before they are written.
struct Batch {
  /// Each element becomes an entry of the oplog.
  private(set) var entries: [[Operation]] = []
  /// The documents that the command, or the transaction before it, has written; nil for deleted ones.
  private(set) var written: [DocumentID: BSONDocument?] = [:]

  /// Creates a batch after the changes of a transaction in the same collection.
  init(after earlier: some Sequence<Operation>) {
    for operation in earlier { note(operation) }
  }

  mutating func append(_ operation: Operation) {
    note(operation)
    entries.append([operation])
  }

  /// Appends changes that become one entry. They have been noted.
  mutating func append(together operations: [Operation]) { entries.append(operations) }

  mutating func note(_ operation: Operation) {
    if let id = operation.key.id { written.updateValue(operation.document, forKey: id) }
  }
}

extension MongodModel {
  /// Runs a command that writes, then waits for its write concern.
  mutating func write(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    if let written = attempt.written, let time = attempt.writeTime {
      return try awaitConcern(request, written, time, at: member, attempt)
    }
    guard !personality.isReplicaSet || set.members[member].state == .primary else { throw .failed(.notPrimary) }
    let transaction = request.transactionID
    if let transaction, !request.isInTransaction, let done = retryableWrites[transaction] {
      attempt.writeTime = done.time
      return done.reply
    }
    let before = set.members[member].lastApplied
    let reply: BSONBuilder
    switch request.command {
    case "commitTransaction": reply = commit(transaction, at: member)
    case "abortTransaction":
      transaction.map { transactions[$0] = nil }
      reply = BSONBuilder()
    case "create", "drop", "dropDatabase", "collMod", "renameCollection":
      reply = try changeCatalog(request, at: member)
    default: reply = try writeDocuments(request, transaction, at: member)
    }
    let after = set.members[member].lastApplied
    // A write that changed nothing waits for the newest entry, too.
    attempt.writeTime = after > before ? after : nil
    if let transaction, !request.isInTransaction { retryableWrites[transaction] = (reply, after) }
    if retryableWrites.count > 10_000 { retryableWrites = [:] }
    if request.isInTransaction, request.command != "commitTransaction" { return reply }
    attempt.written = reply
    attempt.writeTime = after
    return try awaitConcern(request, reply, after, at: member, attempt)
  }

  private func awaitConcern(
    _ request: Request, _ reply: BSONBuilder, _ time: Revision, at member: Int, _ attempt: Attempt
  ) throws(Interruption) -> BSONBuilder {
    let concern = request.body.field("writeConcern")?.document
    let isMajority =
      concern?.field("w").map { $0.text == "majority" || ($0.integer ?? 1) > 1 } ?? personality.impliesMajority
    let commitPoint = set.members[member].commitPoint
    guard isMajority, personality.isReplicaSet, commitPoint < time else { return reply }
    if set.members[member].state != .primary { throw .failed(.steppedDown) }
    let milliseconds = concern?.field("wtimeout")?.integer ?? 0
    let limit = milliseconds > 0 ? attempt.startedAt + Double(milliseconds) / 1000 : .infinity
    if set.now < limit { throw .wait(until: limit) }
    var reply = reply
    reply.append("writeConcernError") {
      $0.append("code", Int32(64))
      $0.append("codeName", "WriteConcernTimeout")
      $0.append("errmsg", "waiting for replication timed out")
    }
    return reply
  }

  private mutating func commit(_ transaction: TransactionID?, at member: Int) -> BSONBuilder {
    if let transaction, let state = transactions.removeValue(forKey: transaction), !state.operations.isEmpty {
      for operation in state.created { set.append([operation], at: member) }
      set.append(state.operations, at: member, transaction: transaction)
    }
    return BSONBuilder()
  }

  // MARK: Documents

  private mutating func writeDocuments(
    _ request: Request, _ transaction: TransactionID?, at member: Int
  ) throws(Interruption) -> BSONBuilder {
    let isInTransaction = request.isInTransaction
    let namespace = request.namespace
    let earlier = isInTransaction ? transaction.flatMap { transactions[$0] }?.operations : nil
    var batch = Batch(after: (earlier ?? []).filter { $0.namespace == namespace })
    let isUpsert = request.documents("updates").contains { $0.field("upsert")?.isTrue == true }
    var created: Operation?
    var uuid = set.members[member].store.collections[namespace]?.rows.uuid
    if uuid == nil, request.command == "insert" || isUpsert || request.body.field("upsert")?.isTrue == true {
      created = Operation(.create, namespace, uuid: set.makeID(count: 16))
      uuid =
        transaction.flatMap { transactions[$0]?.created.first { $0.namespace == namespace }?.uuid } ?? created?.uuid
    }
    var reply = BSONBuilder()
    do throws(CommandError) {
      switch request.command {
      case "insert": reply = insert(request, namespace, uuid ?? [], &batch, at: member)
      case "update": reply = try update(request, namespace, uuid ?? [], &batch, at: member)
      case "delete": reply = try delete(request, namespace, &batch, at: member)
      default: reply = try findAndModify(request, namespace, uuid ?? [], &batch, at: member)
      }
    } catch {
      throw .failed(error)
    }
    if isInTransaction, let transaction {
      transactions[transaction, default: TransactionState()].operations += batch.entries.joined()
      if let created, transactions[transaction]?.created.contains(where: { $0.namespace == namespace }) == false {
        transactions[transaction]?.created.append(created)
      }
    } else {
      if let created, !batch.entries.isEmpty { set.append([created], at: member) }
      for operations in batch.entries { set.append(operations, at: member) }
    }
    return reply
  }

  /// The document as the command sees it.
  private func current(_ namespace: Namespace, _ id: DocumentID, _ batch: Batch, at member: Int) -> BSONDocument? {
    if let written = batch.written[id] { return written }
    return set.members[member].store.collections[namespace]?.rows.document(id, asOf: Revision(.max))
  }

  /// The documents that a query finds, at most `limit`.
  private func found(
    _ query: BSONDocument, _ namespace: Namespace, _ batch: Batch, limit: Int, at member: Int
  ) throws(CommandError) -> [BSONDocument] {
    let filter = try Filter(query)
    var ids: [DocumentID] = []
    if let named = filter.ids {
      ids = Array(named)
    } else {
      let rows = set.members[member].store.collections[namespace]?.rows
      for place in 0..<(rows?.count ?? 0) {
        if let document = rows?.document(at: place, asOf: Revision(.max)), let id = document.id { ids.append(id) }
      }
      ids += batch.written.keys
    }
    var seen: Set<DocumentID> = []
    var documents: [BSONDocument] = []
    for id in ids where documents.count < limit && seen.insert(id).inserted {
      if let document = current(namespace, id, batch, at: member), filter.matches(document) {
        documents.append(document)
      }
    }
    return documents
  }

  private func operation(
    _ kind: Operation.Kind, _ namespace: Namespace, _ document: BSONDocument, at member: Int, uuid: [UInt8]
  ) -> Operation {
    var operation = Operation(kind, namespace, uuid: uuid)
    if let id = document.field("_id") {
      operation.key = BSONDocument { key in
        if let shardKey { key.append("region", shardKey) }
        key.append("_id", id)
      }
    }
    operation.hasImage = set.members[member].store.collections[namespace]?.hasImages ?? false
    return operation
  }

  private func insert(
    _ request: Request, _ namespace: Namespace, _ uuid: [UInt8], _ batch: inout Batch, at member: Int
  ) -> BSONBuilder {
    var reply = BSONBuilder()
    var errors: [BSONDocument] = []
    var operations: [Operation] = []
    for (index, document) in request.documents("documents").enumerated() {
      var document = document
      if document.field("_id") == nil {
        var fields = FieldList(document)
        fields.prepend(
          "_id",
          OwnedValue(type: .objectID, bytes: Array(littleEndian(set.now.bitPattern) + [0, 0, 0, UInt8(index & 255)])))
        document = fields.document
      }
      var operation = operation(.insert, namespace, document, at: member, uuid: uuid)
      operation.document = document
      guard let id = operation.key.id else { continue }
      if current(namespace, id, batch, at: member) != nil {
        errors.append(
          BSONDocument {
            $0.append("index", Int32(index))
            $0.append("code", Int32(11000))
            $0.append("errmsg", "E11000 duplicate key error collection: \(namespace) index: _id_")
            $0.append("keyPattern") { $0.append("_id", Int32(1)) }
          })
        if request.body.field("ordered")?.isTrue ?? true { break } else { continue }
      }
      batch.note(operation)
      operations.append(operation)
    }
    if personality.hasVectoredInserts, !operations.isEmpty {
      batch.append(together: operations)
    } else {
      for operation in operations { batch.append(together: [operation]) }
    }
    reply.append("n", Int32(operations.count))
    if !errors.isEmpty { reply.append("writeErrors", array: errors) }
    return reply
  }

  private func update(
    _ request: Request, _ namespace: Namespace, _ uuid: [UInt8], _ batch: inout Batch, at member: Int
  ) throws(CommandError) -> BSONBuilder {
    var (matched, modified) = (0, 0)
    var upserted: [BSONDocument] = []
    for (index, statement) in request.documents("updates").enumerated() {
      let query = statement.field("q")?.document ?? .empty
      guard let change = statement.field("u")?.document else {
        throw CommandError(9, "FailedToParse", "the model does not support pipelines in updates")
      }
      let limit = statement.field("multi")?.isTrue == true ? Int.max : 1
      let documents = try found(query, namespace, batch, limit: limit, at: member)
      for old in documents {
        matched += 1
        if try modify(old, change, namespace, uuid, &batch, at: member) { modified += 1 }
      }
      if documents.isEmpty, statement.field("upsert")?.isTrue == true {
        let new = try upsert(query, change, namespace, uuid, &batch, at: member)
        matched += 1
        upserted.append(
          BSONDocument {
            $0.append("index", Int32(index))
            if let id = new.field("_id") { $0.append("_id", id) }
          })
      }
    }
    var reply = BSONBuilder()
    reply.append("n", Int32(matched))
    if !upserted.isEmpty { reply.append("upserted", array: upserted) }
    reply.append("nModified", Int32(modified))
    return reply
  }

  /// Changes a document. Returns false if it is already as it would be, which writes nothing.
  private func modify(
    _ old: BSONDocument, _ change: BSONDocument, _ namespace: Namespace, _ uuid: [UInt8], _ batch: inout Batch,
    at member: Int
  ) throws(CommandError) -> Bool {
    let new = try UpdatedDocument(change, to: old, seed: FieldList())
    guard new.document.bytes != old.bytes else { return false }
    let ownUUID = set.members[member].store.collections[namespace]?.rows.uuid ?? uuid
    var operation = operation(
      new.delta == nil ? .replace : .update, namespace, new.document, at: member, uuid: ownUUID)
    operation.document = new.document
    operation.before = old
    operation.delta = new.delta
    batch.append(operation)
    return true
  }

  private func upsert(
    _ query: BSONDocument, _ change: BSONDocument, _ namespace: Namespace, _ uuid: [UInt8], _ batch: inout Batch,
    at member: Int
  ) throws(CommandError) -> BSONDocument {
    var seed = FieldList()
    for field in FieldList(query).fields where !field.name.hasPrefix("$") {
      let isOperator = field.value.document.map { FieldList($0).fields.first?.name.hasPrefix("$") ?? false } ?? false
      if !isOperator { seed.set(field.name, field.value) }
    }
    let new = try UpdatedDocument(change, to: nil, seed: seed)
    var fields = FieldList(new.document)
    let own = OwnedValue(
      type: .objectID,
      bytes: littleEndian(set.now.bitPattern) + littleEndian(UInt32(truncatingIfNeeded: set.changeCount)))
    fields.prepend("_id", fields["_id"] ?? own)
    var operation = operation(.insert, namespace, fields.document, at: member, uuid: uuid)
    operation.document = fields.document
    batch.append(operation)
    return fields.document
  }

  private func delete(
    _ request: Request, _ namespace: Namespace, _ batch: inout Batch, at member: Int
  ) throws(CommandError) -> BSONBuilder {
    var count: Int32 = 0
    let uuid = set.members[member].store.collections[namespace]?.rows.uuid ?? []
    for statement in request.documents("deletes") {
      let limit = statement.field("limit")?.integer == 1 ? 1 : Int.max
      for old in try found(statement.field("q")?.document ?? .empty, namespace, batch, limit: limit, at: member) {
        var operation = operation(.delete, namespace, old, at: member, uuid: uuid)
        operation.before = old
        batch.append(operation)
        count += 1
      }
    }
    var reply = BSONBuilder()
    reply.append("n", count)
    return reply
  }

  private func findAndModify(
    _ request: Request, _ namespace: Namespace, _ uuid: [UInt8], _ batch: inout Batch, at member: Int
  ) throws(CommandError) -> BSONBuilder {
    let query = request.body.field("query")?.document ?? .empty
    let old = try found(query, namespace, batch, limit: 1, at: member).first
    var result: BSONDocument?
    if request.body.field("remove")?.isTrue == true {
      if let old {
        var operation = operation(.delete, namespace, old, at: member, uuid: uuid)
        operation.before = old
        batch.append(operation)
      }
      result = old
    } else if let change = request.body.field("update")?.document {
      if let old {
        _ = try modify(old, change, namespace, uuid, &batch, at: member)
      } else if request.body.field("upsert")?.isTrue == true {
        _ = try upsert(query, change, namespace, uuid, &batch, at: member)
      }
      let wantsNew = request.body.field("new")?.isTrue == true
      result = wantsNew ? batch.entries.last?.last?.document ?? old : old
    }
    var reply = BSONBuilder()
    reply.append("lastErrorObject") {
      $0.append("n", Int32(batch.entries.isEmpty && old == nil ? 0 : 1))
      $0.append("updatedExisting", old != nil)
    }
    if let result { reply.append("value", result) } else { reply.appendNull("value") }
    return reply
  }
}
