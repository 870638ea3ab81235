// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Testing

@testable internal import MongoModel

/// Change streams of one member: tokens, positions and documents.
struct ChangeStreamTests {
  private func insert(_ ids: Int...) -> String {
    let documents = ids.map { "{\"_id\": \($0), \"x\": 0}" }.joined(separator: ", ")
    return "{\"insert\": \"c\", \"documents\": [\(documents)]}"
  }
  private let update = #"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$inc": {"x": 1}}}]}"#

  @Test func theTokenOfABatch() throws {
    var machine = Machine()
    var batch = try machine.open()
    let opened = batch.token
    #expect(opened.kind == .highWaterMark)
    #expect(opened.time.rawValue == machine.model.set.members[0].lastApplied.rawValue + 1)
    #expect(try machine.next(batch).token == opened)
    // The creation of the collection has been scanned, and the insert is the last event.
    try machine.run(insert(1))
    batch = try machine.next(batch)
    #expect(batch.types == ["insert"])
    #expect(batch.token.kind == .event)
    #expect(batch.token.time == batch.operationTime)
    // A write elsewhere moves the token to exactly its time, also behind an event.
    try machine.run(update)
    try machine.run(#"{"insert": "other", "documents": [{"_id": 1}]}"#)
    batch = try machine.next(batch)
    #expect(batch.types == ["update"])
    #expect(batch.token == ResumeTokenData(highWaterMark: machine.model.set.members[0].lastApplied, version: 2))
  }

  @Test func nothingIsReturnedBeforeItIsCommitted() throws {
    var machine = Machine()
    try machine.run(insert(1))
    var batch = try machine.open()
    machine.model.set.commitLimit = machine.model.set.members[0].commitPoint
    try machine.run(#"{"delete": "c", "deletes": [{"q": {}, "limit": 1}], "writeConcern": {"w": 1}}"#)
    let before = batch.token
    batch = try machine.next(batch)
    #expect(batch.types == [])
    #expect(batch.token == before)
    #expect(batch.operationTime == machine.model.set.members[0].commitPoint)
    machine.model.set.commitLimit = nil
    machine.model.set.replicate()
    #expect(try machine.next(batch).types == ["delete"])
  }

  @Test func anInsertOfSeveralDocumentsHasOneTimeSince80() throws {
    for (personality, times) in [(Personality.mongoDB70, 3), (.mongoDB80, 1)] {
      var machine = Machine(personality)
      let opened = try machine.open()
      try machine.run(insert(1, 2, 3))
      let batch = try machine.next(opened)
      #expect(batch.types == ["insert", "insert", "insert"])
      #expect(Set(batch.events.map { Machine.time("clusterTime", of: $0) }).count == times)
      #expect(batch.events.allSatisfy { $0.field("txnNumber") == nil })
    }
  }

  @Test func aBatchThatIsCutHasTheTokenOfItsLastEvent() throws {
    var machine = Machine()
    machine.model.eventsPerBatch = 2
    let opened = try machine.open()
    try machine.run(insert(1, 2, 3))
    let cut = try machine.next(opened)
    #expect(cut.events.count == 2)
    #expect(cut.token.operationIndex == 1)
    #expect(try machine.next(cut).types == ["insert"])
    let resumed = try machine.open(cut.resumeOption)
    #expect(resumed.events.map { $0.field("documentKey")?.document?.field("_id")?.integer } == [3])
  }

  @Test func aTransactionHasOneTimeAndSaysSo() throws {
    var machine = Machine()
    try machine.run(insert(1))
    let opened = try machine.open()
    let session =
      #""lsid": {"id": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}, "txnNumber": {"$numberLong": "1"}"#
    for json in [insert(2), update] { try machine.run(json.dropLast() + ", \(session), \"autocommit\": false}") }
    #expect(try machine.next(opened).types == [])
    #expect(try machine.run(#"{"find": "c"}"#).field("cursor")?.document?.field("firstBatch")?.elements.count == 1)
    try machine.run("{\"commitTransaction\": 1, \(session), \"autocommit\": false}")
    let batch = try machine.next(opened)
    #expect(batch.types == ["insert", "update"])
    #expect(Set(batch.events.map { Machine.time("clusterTime", of: $0) }).count == 1)
    #expect(batch.events.allSatisfy { $0.field("txnNumber")?.integer == 1 })
  }

  @Test func documentsOfUpdates() throws {
    var machine = Machine()
    try machine.run(#"{"create": "c", "changeStreamPreAndPostImages": {"enabled": true}}"#)
    try machine.run(insert(1))
    let lookedUp = try machine.open(#""fullDocument": "updateLookup""#)
    let images = try machine.open(#""fullDocument": "whenAvailable""#)
    try machine.run(update)
    let first = machine.model.set.members[0].lastApplied
    try machine.run(update)
    func values(_ batch: Machine.Batch) -> [Int64?] {
      batch.events.map { $0.field("fullDocument")?.document?.field("x")?.integer }
    }
    machine.model.lookupTime = first
    #expect(values(try machine.next(lookedUp)) == [1, 2])
    #expect(values(try machine.next(images)) == [1, 2])
    machine.model.lookupTime = nil
    machine.model.set.imagesExpiredThrough = first
    #expect(values(try machine.open(lookedUp.resumeOption + #", "fullDocument": "updateLookup""#)) == [2, 2])
    #expect(values(try machine.open(images.resumeOption + #", "fullDocument": "whenAvailable""#)) == [nil, 2])
  }

  @Test func lostPositions() throws {
    var machine = Machine()
    try machine.run(insert(1))
    let live = try machine.open()
    try machine.run(update)
    let resumable = try machine.next(live)
    // Another server's event at the same time.
    var foreign = resumable.token
    foreign.rest =
      ResumeTokenData(
        event: .none, version: 2, operationIndex: 0, isInvalidate: false, uuid: [UInt8](repeating: 0, count: 16),
        operationType: "update", identifier: .empty, isCommand: false
      ).rest
    let option = "\"resumeAfter\": {\"_data\": \"\(foreign.data)\"}"
    let aggregate = "{\"aggregate\": \"c\", \"pipeline\": [{\"$changeStream\": {\(option)}}], \"cursor\": {}}"
    #expect(try machine.code(aggregate) == 280)
    #expect(try machine.code(aggregate.replacing(foreign.data, with: "zz")) == 40647)
    for _ in 0..<5 { try machine.run(update) }
    machine.model.set.members[0].oplog.truncate(count: machine.model.set.members[0].oplog.entries.count - 2)
    #expect(try machine.code(aggregate.replacing(foreign.data, with: resumable.token.data)) == 286)
    #expect(
      try machine.code("{\"getMore\": {\"$numberLong\": \"\(live.id)\"}, \"collection\": \"c\"}") == 136)
  }

  @Test func anOplogFromTheBeginningAcceptsEveryTime() throws {
    var machine = Machine()
    let early = #""startAtOperationTime": {"$timestamp": {"t": 1, "i": 1}}"#
    try machine.run(insert(1))
    #expect(try machine.open(early).types == ["insert"])
  }

  @Test func endsOfACollection() throws {
    var machine = Machine()
    try machine.run(insert(1))
    var stream = try machine.open()
    try machine.run(#"{"drop": "c"}"#)
    var batch = try machine.next(stream)
    #expect(batch.types == ["drop", "invalidate"])
    #expect(batch.id == 0)
    #expect(
      try machine.code(
        "{\"aggregate\": \"c\", \"pipeline\": [{\"$changeStream\": {\(batch.resumeOption)}}], \"cursor\": {}}") == 260)
    try machine.run(insert(2))
    #expect(try machine.open(batch.resumeOption.replacing("resumeAfter", with: "startAfter")).types == ["insert"])
    stream = try machine.open()
    try machine.run(#"{"insert": "other", "documents": [{"_id": 1}]}"#)
    try machine.run(#"{"renameCollection": "d.other", "to": "d.c", "dropTarget": true}"#)
    batch = try machine.next(stream)
    #expect(batch.types == ["rename", "invalidate"])
    #expect(batch.events[0].field("ns")?.document?.field("coll")?.text == "other")
  }

  @Test func anEventThatIsTooLarge() throws {
    var machine = Machine()
    let opened = try machine.open()
    let request = BSONDocument { builder in
      builder.append("insert", "c")
      builder.append(
        "documents",
        array: [
          BSONDocument {
            $0.append("_id", Int32(1))
            $0.append("t", String(repeating: "x", count: 16_780_000))
          }
        ])
    }
    var attempt = Attempt(startedAt: 0)
    guard case .reply = machine.model.handle(Request(request, database: "d"), at: 0, &attempt) else {
      Issue.record("it waits")
      return
    }
    #expect(try machine.code("{\"getMore\": {\"$numberLong\": \"\(opened.id)\"}, \"collection\": \"c\"}") == nil)
    let large = String(repeating: "y", count: 20_000)
    let project = "{\"$project\": {\"fullDocument\": 1, \"x\": {\"$literal\": \"\(large)\"}}}"
    let stage = "{\"$changeStream\": {\(opened.resumeOption)}}, \(project)"
    #expect(try machine.code("{\"aggregate\": \"c\", \"pipeline\": [\(stage)], \"cursor\": {}}") == 10334)
  }

  @Test func aDeadlineEndsAScanSince90() throws {
    for (personality, isEmpty) in [(Personality.mongoDB80, false), (.mongoDB90, true)] {
      var machine = Machine(personality)
      try machine.run(insert(1))
      let opened = try machine.open()
      for _ in 0..<100 { machine.model.set.append([], at: 0) }
      try machine.run(update)
      machine.model.scannedPerSecond = 100
      let json = "{\"getMore\": {\"$numberLong\": \"\(opened.id)\"}, \"collection\": \"c\", \"maxTimeMS\": 10}"
      var attempt = Attempt(startedAt: machine.now)
      var reply: BSONDocument?
      while reply == nil {
        machine.advance(0.05)
        reply = try machine.attempt(json, &attempt)
      }
      let batch = Machine.Batch(try #require(reply))
      #expect(batch.events.isEmpty == isEmpty)
      // The token proves no more than what has been scanned.
      #expect((batch.token.time < machine.model.set.members[0].lastApplied) == isEmpty)
      #expect(batch.operationTime == machine.model.set.members[0].lastApplied)
    }
  }

  @Test func whatOtherProductsRefuse() throws {
    var standalone = Machine(.standalone)
    let open = #"{"aggregate": "c", "pipeline": [{"$changeStream": {}}], "cursor": {}}"#
    #expect(try standalone.code(open) == 40573)
    #expect(try standalone.run(#"{"ping": 1}"#).field("operationTime") == nil)
    var flex = Machine(.atlasFlex)
    #expect(try flex.code(#"{"replSetGetConfig": 1}"#) == 8000)
    #expect(try flex.code(open) == nil)
    var old = Machine(.mongoDB42)
    #expect(try old.code(open.replacing("{}}],", with: #"{"fullDocument": "whenAvailable"}}],"#)) == 40575)
    #expect(try old.open().token.version == 1)
    var foreign = Machine(.documentDB)
    let reply = try foreign.run(open)
    #expect(
      reply.field("cursor")?.document?.field("postBatchResumeToken")?.document?.field("_data")?.text?.hasPrefix("01")
        == true)
  }
}
