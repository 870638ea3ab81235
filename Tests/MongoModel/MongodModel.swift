// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The mongod processes of one replica set as a state machine: it has no thread and no clock. Time is told by
/// ``advance(now:wallNow:)``, and choices are made by the code that changes its properties.
///
/// Each rule is that of the server's source; the names of the functions are in the comments.
struct MongodModel {
  var set: ReplicaSet
  var personality: Personality
  var failPoints: [FailPoint] = []
  /// The value of the shard key of the documents of this shard; nil if collections are not sharded. The documents do
  /// not contain it: the service reads it from the `documentKey` of events only.
  var shardKey: String?
  /// The time as of which `updateLookup` reads, instead of the commit point at that moment; never before the event and
  /// never after the commit point.
  var lookupTime: Revision?
  /// The number of events in a batch; nil for mongod's own limits.
  var eventsPerBatch: Int?
  /// How many oplog entries a change stream examines in a second; nil for no limit.
  var scannedPerSecond: Double?
  /// The transactions in progress.
  var transactions: [TransactionID: TransactionState] = [:]
  /// The replies of the latest retryable writes, with their times.
  var retryableWrites: [TransactionID: (reply: BSONBuilder, time: Revision)] = [:]
  /// How often each member has received each command.
  private(set) var commandCounts: [Int: [String: Int]] = [:]
  private var cursorCount: Int64 = 0

  init(set: ReplicaSet, personality: Personality) {
    self.set = set
    self.personality = personality
  }

  mutating func advance(now: Double, wallNow: Int64) { set.advance(now: now, wallNow: wallNow) }

  mutating func nextCursorID() -> Int64 {
    cursorCount += 1
    // Ids are neither small nor in order, as mongod's.
    return 0x1000_0000_0000 + cursorCount &* 0x5DEE_CE66
  }

  /// Tries a command at a member.
  mutating func handle(_ request: Request, at member: Int, _ attempt: inout Attempt) -> Outcome {
    do throws(Interruption) {
      try begin(request, at: member, &attempt)
      var reply = try run(request, at: member, &attempt)
      reply.append("ok", 1.0)
      return .reply(decorated(reply, at: member, attempt))
    } catch {
      switch error {
      case .wait(let limit): return .wait(until: limit)
      case .failed(let error) where error.code == Self.hangUp.code: return .hangUp
      case .failed(let error): return .reply(failure(error, request, at: member, attempt))
      }
    }
  }

  static let hangUp = CommandError(-1, "hangUp", "")

  private mutating func begin(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) {
    guard !attempt.hasBegun else { return }
    if !attempt.isCounted { commandCounts[member, default: [:]][request.command, default: 0] += 1 }
    attempt.isCounted = true
    if let time = request.body.field("$clusterTime")?.document?.field("clusterTime")?.withValue(\.timestamp) {
      set.clusterTime = max(set.clusterTime, Revision(seconds: time.seconds, increment: time.increment))
    }
    if let index = failPoints.firstIndex(where: { applies($0, to: request, at: member) }) {
      let point = failPoints[index]
      if set.now < attempt.startedAt + point.delay { throw .wait(until: attempt.startedAt + point.delay) }
      if point.times != .max { failPoints[index].times -= 1 }
      if failPoints[index].times <= 0 { failPoints.remove(at: index) }
      attempt.isChangeStream = isChangeStream(request, at: member)
      if point.closesConnection { throw .failed(Self.hangUp) }
      if let error = point.error { throw .failed(error) }
    }
    attempt.hasBegun = true
    attempt.begunAt = set.now
  }

  private func applies(_ point: FailPoint, to request: Request, at member: Int) -> Bool {
    guard point.commands.contains(request.command) || (point.commands.contains("*") && !isAdministrative(request))
    else {
      return false
    }
    if let name = point.applicationName, name != request.applicationName { return false }
    return point.member == nil || point.member == member
  }

  private func isAdministrative(_ request: Request) -> Bool {
    ["hello", "isMaster", "ismaster", "configureFailPoint", "endSessions"].contains(request.command)
  }

  /// Whether a command concerns a change stream.
  func isChangeStream(_ request: Request, at member: Int) -> Bool {
    if request.command == "aggregate" {
      return request.documents("pipeline").first?.field("$changeStream") != nil
    }
    guard request.command == "getMore", let id = request.body.field("getMore")?.integer else { return false }
    if case .changeStream = set.members[member].cursors[id]?.kind { return true }
    return false
  }

  // MARK: Replies

  /// Adds the times to a reply (`computeOperationTime`): those of the command's own writes; for a read of the majority,
  /// the commit point at its end; otherwise the time of the last applied entry.
  func decorated(_ reply: BSONBuilder, at member: Int, _ attempt: Attempt) -> BSONDocument {
    guard personality.isReplicaSet else { return reply.document }
    var reply = reply
    reply.append("$clusterTime") { time in
      time.append("clusterTime", set.clusterTime)
      time.append("signature") { signature in
        signature.append("hash", type: .binary, littleEndian(UInt32(20)) + [0] + [UInt8](repeating: 0, count: 20))
        signature.append("keyId", Int64(0))
      }
    }
    if personality.reportsOperationTime {
      let node = set.members[member]
      reply.append("operationTime", attempt.writeTime ?? (attempt.isMajority ? node.commitPoint : node.lastApplied))
    }
    return reply.document
  }

  private func failure(
    _ error: CommandError, _ request: Request, at member: Int, _ attempt: Attempt
  ) -> BSONDocument {
    var reply = BSONBuilder()
    if CommandError.stateChangeCodes.contains(error.code) {
      reply.append("topologyVersion", topologyVersion(member))
    }
    reply.append("ok", 0.0)
    reply.append("errmsg", error.message)
    reply.append("code", error.code)
    reply.append("codeName", error.name)
    let labels = error.allLabels(
      command: request.command, isChangeStream: attempt.isChangeStream,
      hasTransactionNumber: request.transactionID != nil, isInTransaction: request.isInTransaction)
    if !labels.isEmpty { reply.append("errorLabels", array: labels) }
    return decorated(reply, at: member, attempt)
  }

  func topologyVersion(_ member: Int) -> BSONDocument {
    BSONDocument { version in
      version.append("processId", type: .objectID, set.members[member].processID)
      version.append("counter", set.members[member].topologyCounter)
    }
  }

  // MARK: Dispatch

  private mutating func run(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    switch request.command {
    case "hello", "isMaster", "ismaster": return try hello(request, at: member, attempt)
    case "ping", "endSessions", "refreshSessions", "killSessions": return BSONBuilder()
    case "buildInfo", "buildinfo": return buildInfo()
    case "configureFailPoint":
      failPoints = FailPoint(request.body).map { [$0] } ?? []
      return BSONBuilder()
    case "replSetGetConfig": return try configuration()
    case "replSetStepDown":
      set.becomeSecondary(member)
      return BSONBuilder()
    case "getMore": return try getMore(request, at: member, &attempt)
    case "killCursors": return killCursors(request, at: member)
    default: break
    }
    if Self.recoveringStates.contains(set.members[member].state) { throw .failed(.recovering) }
    switch request.command {
    case "find": return try find(request, at: member, &attempt)
    case "aggregate": return try aggregate(request, at: member, &attempt)
    case "count": return try count(request, at: member, &attempt)
    case "listCollections": return try listCollections(request, at: member)
    case "insert", "update", "delete", "findAndModify", "findandmodify", "create", "drop", "dropDatabase", "collMod",
      "renameCollection", "commitTransaction", "abortTransaction":
      return try write(request, at: member, &attempt)
    default:
      if let reply = diagnostics(request, at: member) { return reply }
      throw .failed(CommandError(59, "CommandNotFound", "no such command: '\(request.command)'"))
    }
  }

  private static let recoveringStates: Set<Member.State> = [.recovering, .rollback, .arbiter]

  private func buildInfo() -> BSONBuilder {
    var reply = BSONBuilder()
    reply.append("version", personality.version)
    let numbers = personality.version.split(separator: ".").compactMap { Int32($0) } + [0]
    reply.append(
      "versionArray", OwnedValue(array: numbers.map { OwnedValue(type: .int32, bytes: littleEndian($0)) }))
    reply.append("gitVersion", "model")
    reply.append("modules", array: [String]())
    reply.append("maxBsonObjectSize", Int32(16_777_216))
    return reply
  }

  private func configuration() throws(Interruption) -> BSONBuilder {
    if let error = personality.configurationError { throw .failed(error) }
    guard personality.isReplicaSet else {
      throw .failed(CommandError(76, "NoReplicationEnabled", "not running with --replSet"))
    }
    var reply = BSONBuilder()
    reply.append("config") { config in
      config.append("_id", set.name)
      config.append("version", set.setVersion)
      config.append(
        "members",
        array: set.members.enumerated().map { index, member in
          BSONDocument {
            $0.append("_id", Int32(index))
            $0.append("host", "127.0.0.1:\(member.port)")
            $0.append("arbiterOnly", member.isArbiter)
          }
        })
      config.append("settings") { $0.append("replicaSetId", type: .objectID, set.id) }
    }
    return reply
  }
}
