// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Testing

@testable internal import MongoModel

/// Commit points, elections and rollback, by the rules of the server's source.
struct ReplicaSetTests {
  private let insert = #"{"insert": "c", "documents": [{"_id": 1}], "writeConcern": {"w": 1}}"#
  private let secondary = #""$readPreference": {"mode": "secondaryPreferred"}"#

  @Test func theTimeOfAReply() throws {
    var machine = Machine()
    machine.model.set.commitLimit = machine.model.set.members[0].commitPoint
    let start = machine.model.set.members[0].commitPoint
    // A write reports its own time; a ping the last applied one; a majority read the commit point.
    let written = Machine.time("operationTime", of: try machine.run(insert))
    #expect(written > start)
    #expect(Machine.time("operationTime", of: try machine.run(#"{"ping": 1}"#)) == written)
    let read = try machine.run(#"{"find": "c", "readConcern": {"level": "majority"}}"#)
    #expect(Machine.time("operationTime", of: read) == start)
    #expect(read.field("cursor")?.document?.field("firstBatch")?.elements.isEmpty == true)
    #expect(
      try machine.run(#"{"find": "c"}"#).field("cursor")?.document?.field("firstBatch")?.elements.count == 1)
  }

  @Test func aMajorityOfThreeCommits() throws {
    var machine = Machine(members: 3)
    machine.model.set.members[1].replicationDelay = 1
    machine.model.set.members[2].replicationDelay = 2
    let written = Machine.time("operationTime", of: try machine.run(insert))
    #expect(machine.model.set.members[0].commitPoint < written)
    machine.advance(1)
    #expect(machine.model.set.members[0].commitPoint == written)
    #expect(machine.model.set.members[1].commitPoint == written)
    #expect(machine.model.set.members[2].commitPoint < written)
    machine.advance(1)
    #expect(machine.model.set.members[2].commitPoint == written)
  }

  @Test func withoutItsSecondaryAPrimaryWithAnArbiterCommitsNothing() throws {
    var machine = Machine(members: 3, arbiters: 1)
    let first = Machine.time("operationTime", of: try machine.run(insert))
    #expect(machine.model.set.members[0].commitPoint == first)
    machine.model.set.members[1].state = .down
    try machine.run(#"{"delete": "c", "deletes": [{"q": {}, "limit": 1}], "writeConcern": {"w": 1}}"#)
    machine.advance(100)
    #expect(machine.model.set.members[0].commitPoint == first)
    #expect(machine.model.set.members[0].state == .primary)
  }

  @Test func aRollbackUndoesWhatTheMajorityDoesNotHave() throws {
    var machine = Machine(members: 3)
    try machine.run(insert)
    machine.model.set.partition([0, 1, 1])
    try machine.run(#"{"insert": "c", "documents": [{"_id": 2}], "writeConcern": {"w": 1}}"#)
    machine.model.set.elect(1)
    try machine.run(#"{"insert": "c", "documents": [{"_id": 3}], "writeConcern": {"w": 1}}"#, at: 1)
    #expect(machine.model.set.members[0].state == .primary)
    let cursor = try machine.open()
    #expect(try machine.code(insert, at: 2) == 10107)
    machine.model.set.partition([0, 0, 0])
    #expect(machine.model.set.members[0].state == .secondary)
    #expect(machine.model.set.members[0].disconnections == 1)
    #expect(machine.model.set.members[0].oplog.lastTime == machine.model.set.members[1].oplog.lastTime)
    let found = try machine.run("{\"find\": \"c\", \(secondary)}")
    let ids = found.field("cursor")?.document?.field("firstBatch")?.elements.compactMap {
      $0.document?.field("_id")?.integer
    }
    #expect(ids == [1, 3])
    #expect(
      try machine.code("{\"getMore\": {\"$numberLong\": \"\(cursor.id)\"}, \"collection\": \"c\"}") == 43)
  }

  @Test func afterAStepDownACursorRemainsAndReadsNeedAPermission() throws {
    var machine = Machine(members: 3)
    let cursor = try machine.open()
    machine.model.set.elect(1)
    try machine.run(insert, at: 1)
    #expect(try machine.next(cursor).types == ["insert"])
    #expect(try machine.code(#"{"find": "c"}"#) == 13435)
    #expect(try machine.code(insert) == 10107)
    #expect(try machine.code("{\"find\": \"c\", \(secondary)}") == nil)
    machine.model.set.members[0].state = .recovering
    #expect(try machine.code(#"{"find": "c"}"#) == 13436)
  }

  @Test func aCausalReadWaitsForTheCommitPoint() throws {
    var machine = Machine()
    machine.model.set.commitLimit = machine.model.set.members[0].commitPoint
    let time = Machine.time("operationTime", of: try machine.run(insert))
    let after = "{\"$timestamp\": {\"t\": \(time.seconds), \"i\": \(time.increment)}}"
    let find = "{\"find\": \"c\", \"readConcern\": {\"level\": \"majority\", \"afterClusterTime\": \(after)}}"
    var attempt = Attempt(startedAt: 0)
    #expect(try machine.attempt(find, &attempt) == nil)
    machine.model.set.commitLimit = nil
    machine.model.set.replicate()
    #expect(try machine.attempt(find, &attempt) != nil)
    let future = find.replacing("\"i\": \(time.increment)", with: "\"i\": \(time.increment + 5)")
    #expect(try machine.code(future) == 72)
    // A time that the server knows, and has no entry of: it writes a no-op.
    machine.model.set.clusterTime = Revision(time.rawValue + 5)
    #expect(try machine.code(future) == nil)
    #expect(machine.model.set.members[0].lastApplied > time)
  }

  @Test func anAwaitedHelloIsAnsweredWhenThePrimaryChanges() throws {
    var machine = Machine(members: 3)
    let counter = machine.model.set.members[0].topologyCounter
    let process = hexadecimal(machine.model.set.members[0].processID).lowercased()
    let hello = """
      {"hello": 1, "maxAwaitTimeMS": 10000,
       "topologyVersion": {"processId": {"$oid": "\(process)"}, "counter": {"$numberLong": "\(counter)"}}}
      """
    var attempt = Attempt(startedAt: 0)
    #expect(try machine.attempt(hello, &attempt) == nil)
    machine.model.set.becomeSecondary(0)
    #expect(try machine.attempt(hello, &attempt)?.field("isWritablePrimary")?.isTrue == false)
  }

  @Test func aNoopIsWrittenWhereNothingElseIs() throws {
    var machine = Machine()
    machine.model.set.noopInterval = 10
    let before = machine.model.set.members[0].lastApplied
    machine.advance(9)
    #expect(machine.model.set.members[0].lastApplied == before)
    machine.advance(1)
    #expect(machine.model.set.members[0].lastApplied > before)
  }
}
