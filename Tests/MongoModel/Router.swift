// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A mongos: it has no data and no oplog, sends commands to shards, and merges their answers.
struct Router {
  /// A cursor over all shards.
  enum Cursor {
    case documents(Namespace, [BSONDocument])
    case changeStream(RouterStream)
  }

  var disconnections = 0
  var cursors: [Int64: Cursor] = [:]
  /// How long each shard takes to answer the router, in seconds, by the index of the shard.
  var shardDelays: [Int: Double] = [:]
  /// Whether `operationTime` is the highest cluster time that the router knows; otherwise the highest operation time
  /// of the shards. Both can be later than what the reply proves.
  var reportsClock = false
  private var cursorCount: Int64 = 0

  /// The error of a command that needs a primary which a shard does not have.
  static let noPrimary = CommandError(
    133, "FailedToSatisfyReadPreference", "Could not find host matching read preference { mode: \"primary\" }")

  mutating func handle(_ request: Request, _ shards: inout [MongodModel], _ attempt: inout Attempt) -> Outcome {
    if let time = request.body.field("$clusterTime")?.document?.field("clusterTime")?.withValue(\.timestamp) {
      let time = Revision(seconds: time.seconds, increment: time.increment)
      for index in shards.indices { shards[index].set.clusterTime = max(shards[index].set.clusterTime, time) }
    }
    do throws(Interruption) {
      var reply = try run(request, &shards, &attempt)
      reply.append("ok", 1.0)
      return .reply(decorated(reply, shards, attempt))
    } catch {
      switch error {
      case .wait(let limit): return .wait(until: limit)
      case .failed(let error):
        var reply = BSONBuilder()
        reply.append("ok", 0.0)
        reply.append("errmsg", error.message)
        reply.append("code", error.code)
        reply.append("codeName", error.name)
        let labels = error.allLabels(
          command: request.command, isChangeStream: attempt.isChangeStream,
          hasTransactionNumber: request.transactionID != nil, isInTransaction: request.isInTransaction)
        if !labels.isEmpty { reply.append("errorLabels", array: labels) }
        return .reply(decorated(reply, shards, attempt))
      }
    }
  }

  /// Adds the times to a reply.
  private func decorated(_ reply: BSONBuilder, _ shards: [MongodModel], _ attempt: Attempt) -> BSONDocument {
    let clock = shards.map(\.set.clusterTime).max() ?? .none
    var reply = reply
    reply.append("$clusterTime") { time in
      time.append("clusterTime", clock)
      time.append("signature") { signature in
        signature.append("hash", type: .binary, littleEndian(UInt32(20)) + [0] + [UInt8](repeating: 0, count: 20))
        signature.append("keyId", Int64(0))
      }
    }
    let times = shards.compactMap { shard in
      shard.set.primary.map { index in
        attempt.isMajority ? shard.set.members[index].commitPoint : shard.set.members[index].lastApplied
      }
    }
    reply.append("operationTime", reportsClock ? clock : max(attempt.writeTime ?? .none, times.max() ?? clock))
    return reply.document
  }

  private mutating func run(
    _ request: Request, _ shards: inout [MongodModel], _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    switch request.command {
    case "hello", "isMaster", "ismaster":
      var reply = BSONBuilder()
      reply.append("helloOk", true)
      reply.append(request.command == "hello" ? "isWritablePrimary" : "ismaster", true)
      reply.append("msg", "isdbgrid")
      reply.append("maxBsonObjectSize", Int32(16_777_216))
      reply.append("maxMessageSizeBytes", Int32(48_000_000))
      reply.append("maxWriteBatchSize", Int32(100_000))
      reply.append("logicalSessionTimeoutMinutes", Int32(30))
      reply.append("minWireVersion", Int32(0))
      reply.append("maxWireVersion", shards[0].personality.maximumWireVersion)
      return reply
    case "replSetGetConfig":
      throw .failed(CommandError(59, "CommandNotFound", "no such command: 'replSetGetConfig'"))
    case "getMore": return try getMore(request, &shards, &attempt)
    case "killCursors":
      for id in request.body.field("cursors")?.elements ?? [] { cursors[id.integer ?? 0] = nil }
      return BSONBuilder()
    case "aggregate" where request.documents("pipeline").first?.field("$changeStream") != nil:
      attempt.isChangeStream = true
      attempt.isMajority = true
      return try openStream(request, &shards, &attempt)
    case "find", "aggregate": return try gather(request, &shards, &attempt)
    case "insert", "update", "delete": return try write(request, &shards, &attempt)
    default: return try ask(request, of: 0, &shards, &attempt)
    }
  }

  private mutating func nextID() -> Int64 {
    cursorCount += 1
    return 0x2000_0000_0000 + cursorCount
  }

  /// Runs a command at the primary of a shard; the reply without its times.
  private func ask(
    _ request: Request, of shard: Int, _ shards: inout [MongodModel], _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    guard let primary = shards[shard].set.primary else { throw .failed(Self.noPrimary) }
    var own = attempt.shardAttempts[shard] ?? Attempt(startedAt: attempt.startedAt)
    defer { attempt.shardAttempts[shard] = own }
    switch shards[shard].handle(request, at: primary, &own) {
    case .wait(let limit): throw .wait(until: limit)
    case .hangUp: throw .failed(CommandError(6, "HostUnreachable", "the shard hung up"))
    case .reply(let reply):
      attempt.isMajority = attempt.isMajority || own.isMajority
      if let time = own.writeTime { attempt.writeTime = max(attempt.writeTime ?? .none, time) }
      guard reply.field("ok")?.isTrue == true else {
        throw .failed(
          CommandError(
            Int32(clamping: reply.field("code")?.integer ?? 0), reply.field("codeName")?.text ?? "",
            reply.field("errmsg")?.text ?? ""))
      }
      var fields = FieldList(reply)
      for name in ["ok", "$clusterTime", "operationTime"] { fields[name] = nil }
      return BSONBuilder(fields.document)
    }
  }

  /// Reads from all shards at once.
  private mutating func gather(
    _ request: Request, _ shards: inout [MongodModel], _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    var whole = FieldList(request.body)
    whole["batchSize"] = OwnedValue(type: .int32, bytes: littleEndian(Int32.max))
    var request = request
    let size = request.body.field("batchSize")?.integer.map { Int($0) } ?? 101
    if request.command == "find" { request.body = whole.document }
    var documents: [BSONDocument] = []
    for shard in shards.indices {
      if let done = attempt.shardReplies[shard] {
        documents += done
        continue
      }
      let reply = try ask(request, of: shard, &shards, &attempt).document
      let own = reply.field("cursor")?.document?.field("firstBatch")?.elements.compactMap(\.document) ?? []
      attempt.shardReplies[shard] = own
      documents += own
    }
    if request.documents("pipeline").last?.field("$group") != nil, !documents.isEmpty {
      // Each shard has counted its own documents.
      let count = documents.reduce(Int64(0)) { $0 + ($1.field("n")?.integer ?? 0) }
      documents = [
        BSONDocument {
          $0.append("_id", Int32(1))
          $0.append("n", count)
        }
      ]
    }
    return batch(documents, size: size, request.namespace, "firstBatch")
  }

  private mutating func batch(
    _ documents: [BSONDocument], size: Int, _ namespace: Namespace, _ name: String
  ) -> BSONBuilder {
    var count = 0
    var byteCount = 0
    while count < documents.count, count < size, byteCount < 16_000_000 {
      byteCount += documents[count].bytes.count
      count += 1
    }
    var id: Int64 = 0
    if count < documents.count {
      id = nextID()
      cursors[id] = .documents(namespace, Array(documents[count...]))
    }
    return MongodModel.cursorReply(id: id, namespace, name, Array(documents[..<count]))
  }

  /// Writes: inserts go to a shard by their `_id`, other changes to every shard.
  private func write(
    _ request: Request, _ shards: inout [MongodModel], _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    var (count, modified) = (Int32(0), Int32(0))
    var upserted: [OwnedValue] = []
    for shard in shards.indices {
      var own = request
      if request.command == "insert" {
        let documents = request.documents("documents").filter { Self.shard(of: $0, among: shards.count) == shard }
        if documents.isEmpty { continue }
        own.sequences["documents"] = documents
      } else if request.command == "update", shard > 0 {
        // Only one shard inserts.
        own.sequences["updates"] = request.documents("updates").map { statement in
          var fields = FieldList(statement)
          fields["upsert"] = nil
          return fields.document
        }
      }
      let reply = try ask(own, of: shard, &shards, &attempt).document
      count += Int32(clamping: reply.field("n")?.integer ?? 0)
      modified += Int32(clamping: reply.field("nModified")?.integer ?? 0)
      upserted += reply.field("upserted")?.elements ?? []
    }
    var reply = BSONBuilder()
    reply.append("n", count)
    if request.command == "update" { reply.append("nModified", modified) }
    if !upserted.isEmpty { reply.append("upserted", OwnedValue(array: upserted)) }
    return reply
  }

  /// The shard of a document, by its `_id`.
  private static func shard(of document: BSONDocument, among count: Int) -> Int {
    let bytes = document.field("_id")?.bytes ?? []
    return Int(bytes.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 } % UInt32(count))
  }

  // MARK: Change streams

  private mutating func openStream(
    _ request: Request, _ shards: inout [MongodModel], _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    var stream: RouterStream
    if let opening = attempt.openingRouterStream {
      stream = opening
    } else {
      stream = try RouterStream(request, &shards, &attempt)
    }
    let size = request.body.field("cursor")?.document?.field("batchSize")?.integer.map { Int($0) } ?? 101
    var events: [BSONDocument] = []
    if size > 0 {
      attempt.openingRouterStream = stream
      stream.fetch(&shards, now: shards[0].set.now, delays: shardDelays, &attempt)
      if let error = stream.error { throw .failed(error) }
      events = stream.takeReady(size)
    }
    let id = nextID()
    cursors[id] = .changeStream(stream)
    return MongodModel.cursorReply(id: id, request.namespace, "firstBatch", events, token: stream.token)
  }

  private mutating func getMore(
    _ request: Request, _ shards: inout [MongodModel], _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    let id = request.body.field("getMore")?.integer ?? 0
    let size = request.body.field("batchSize")?.integer.map { $0 == 0 ? Int.max : Int($0) } ?? .max
    switch cursors[id] {
    case nil:
      attempt.isChangeStream = true
      throw .failed(CommandError(43, "CursorNotFound", "cursor id \(id) not found"))
    case .documents(let namespace, let documents):
      cursors[id] = nil
      attempt.isMajority = true
      return batch(documents, size: size, namespace, "nextBatch")
    case .changeStream(var stream):
      attempt.isChangeStream = true
      attempt.isMajority = true
      let now = shards[0].set.now
      stream.fetch(&shards, now: now, delays: shardDelays, &attempt)
      if let error = stream.error {
        cursors[id] = nil
        throw .failed(error)
      }
      let events = stream.takeReady(size)
      cursors[id] = .changeStream(stream)
      let end = attempt.startedAt + Double(request.body.field("maxTimeMS")?.integer ?? 1000) / 1000
      // An empty answer is a timeout of the router: it proves nothing.
      if events.isEmpty, now < end { throw .wait(until: min(end, stream.nextAnswer(after: now))) }
      if stream.isInvalidated { cursors[id] = nil }
      return MongodModel.cursorReply(
        id: stream.isInvalidated ? 0 : id, stream.namespace, "nextBatch", events, token: stream.token)
    }
  }
}
