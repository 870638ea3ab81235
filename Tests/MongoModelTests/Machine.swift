// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Testing

@testable internal import MongoModel

/// The state machine of a replica set without sockets, at a time that a test chooses.
struct Machine {
  var model: MongodModel
  var now = 0.0

  init(_ personality: Personality = .mongoDB80, members: Int = 1, arbiters: Int = 0) {
    let set = ReplicaSet(
      name: "rs0", ports: (0..<members).map { UInt16(27_017 + $0) }, arbiters: arbiters, seed: 7,
      wallNow: 1_800_000_000_000, now: 0)
    model = MongodModel(set: set, personality: personality)
    model.set.noopInterval = nil
  }

  mutating func advance(_ seconds: Double) {
    now += seconds
    model.advance(now: now, wallNow: 1_800_000_000_000 + Int64(now * 1000))
  }

  /// Tries a command once; nil if it waits.
  mutating func attempt(_ json: String, at member: Int = 0, _ attempt: inout Attempt) throws -> BSONDocument? {
    let request = Request(try BSONDocument(json: json), database: "d")
    switch model.handle(request, at: member, &attempt) {
    case .reply(let reply): return reply
    case .wait: return nil
    case .hangUp: throw CommandError(-1, "hung up", "")
    }
  }

  /// Runs a command that must not wait. An error is thrown.
  @discardableResult
  mutating func run(_ json: String, at member: Int = 0) throws -> BSONDocument {
    var first = Attempt(startedAt: now)
    let reply = try #require(try attempt(json, at: member, &first), "\(json) waits")
    if let code = reply.field("code")?.integer {
      throw CommandError(Int32(code), reply.field("codeName")?.text ?? "", reply.field("errmsg")?.text ?? "")
    }
    return reply
  }

  /// The code of the error of a command; nil if it succeeds.
  mutating func code(_ json: String, at member: Int = 0) throws -> Int32? {
    do {
      try run(json, at: member)
      return nil
    } catch let error as CommandError {
      return error.code
    }
  }

  /// Opens a change stream of `d.c`. `options` are fields of the stage.
  mutating func open(_ options: String = "", at member: Int = 0) throws -> Batch {
    let stage = "{\"$changeStream\": {\(options)}}"
    return Batch(
      try run(
        """
        {"aggregate": "c", "pipeline": [\(stage)], "cursor": {}, "readConcern": {"level": "majority"},
         "$readPreference": {"mode": "primaryPreferred"}}
        """, at: member))
  }

  /// Fetches the next batch, and lets the time pass that it waits.
  mutating func next(_ batch: Batch, at member: Int = 0) throws -> Batch {
    let json = "{\"getMore\": {\"$numberLong\": \"\(batch.id)\"}, \"collection\": \"c\", \"maxTimeMS\": 100}"
    var first = Attempt(startedAt: now)
    if let reply = try attempt(json, at: member, &first) { return Batch(reply) }
    advance(0.2)
    return Batch(try #require(try attempt(json, at: member, &first)))
  }

  /// The reply with a batch of a change stream.
  struct Batch {
    let reply: BSONDocument
    let id: Int64
    let events: [BSONDocument]
    let token: ResumeTokenData

    init(_ reply: BSONDocument) {
      self.reply = reply
      let cursor = reply.field("cursor")?.document ?? .empty
      id = cursor.field("id")?.integer ?? -1
      events = (cursor.field("firstBatch") ?? cursor.field("nextBatch"))?.elements.compactMap(\.document) ?? []
      token =
        ResumeTokenData(data: cursor.field("postBatchResumeToken")?.document?.field("_data")?.text ?? "")
        ?? ResumeTokenData(highWaterMark: .none, version: 1)
    }

    var types: [String] { events.map { $0.field("operationType")?.text ?? "" } }
    var operationTime: Revision { time("operationTime", of: reply) }
    var resumeOption: String { "\"resumeAfter\": {\"_data\": \"\(token.data)\"}" }
  }

  static func time(_ name: String, of document: BSONDocument) -> Revision {
    let time = document.field(name)?.withValue(\.timestamp)
    return time.map { Revision(seconds: $0.seconds, increment: $0.increment) } ?? .none
  }
}

extension Machine.Batch {
  fileprivate func time(_ name: String, of document: BSONDocument) -> Revision { Machine.time(name, of: document) }
}
