// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Foundation
internal import MongoModel
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Scenarios of members that are cut off, behind, or slow to resume.
@Suite(.serialized) struct MemberScenarioTests {
  /// 6. The primary is cut off from its majority, but not from the server.
  @Test
  func aPrimaryWithoutItsMajorityIsLeft() throws {
    try withBench(try MongoModel(members: 3, seed: 6)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start()
      bench.model.partition([0, 1, 1])
      bench.model.elect(1)
      try bench.describe("a", "lost", member: 0)
      try bench.describe("a", "two", member: 1)
      let end = soon(.seconds(45))
      var content = ""
      while MonotonicTime.now < end, content != "two" {
        content = try bench.content("a")
        #expect(content != "lost")
        usleep(50_000)
      }
      #expect(content == "two")
      #expect(try bench.client.status().agents.resyncs == 0)
    }
  }

  /// 7. A primary and an arbiter, without the secondary: nothing is committed.
  @Test func withoutAMajorityAnswersAreStale()
    throws
  {
    try withBench(try MongoModel(members: 3, arbiters: 1, seed: 7)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start(["--ttl-seconds", "40"])
      bench.model.setRunning(false, member: 1)
      try bench.describe("a", "two")
      let end = soon(.seconds(60))
      var isStale = false
      while MonotonicTime.now < end, !isStale {
        let reply = try bench.client.agent("a")
        #expect(reply.content == "one", "nothing is shown that the majority does not have")
        isStale = reply.isStale
        usleep(100_000)
      }
      #expect(isStale)
      bench.model.setRunning(true, member: 1)
      #expect(try bench.waits("a", "two", seconds: 20))
    }
  }

  /// 8. The former primary remains 20 s behind as a secondary, and the cursors are still open there.
  @Test
  func aMemberThatSteppedDownIsLeft() throws {
    try withBench(try MongoModel(members: 3, seed: 8)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start(["--ttl-seconds", "5"])
      bench.model.delayReplication(20, of: 0)
      bench.model.elect(1)
      try bench.describe("a", "two")
      #expect(try bench.waits("a", "two", seconds: 10))
      // A reload compares what was served with what is stored.
      let loadedAt = try bench.client.status().agents.loadedAt
      try poll("the collection was read again") { try bench.client.status().agents.loadedAt > loadedAt }
      let status = try bench.client.status().agents
      #expect(status.drift == 0)
      #expect(status.resyncs == 0)
    }
  }

  /// 10. A resume needs a longer scan of the oplog than the socket timeout.
  @Test
  func aLongScanDoesNotKeepTheServerBehindForEver() throws {
    try withBench(try MongoModel(seed: 10)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start(uriOptions: "&socketTimeoutMS=2000")
      bench.model.setRunning(false, member: 0)
      bench.model.setScanRate(100)
      try poll("the stream is lost") { try !bench.client.status().agents.isStreamActive }
      bench.model.setRunning(true, member: 0)
      bench.model.elect(0)
      bench.model.writeNoops(3000)
      try bench.describe("a", "two")
      #expect(try bench.waits("a", "two", seconds: 25))
    }
  }

  /// 14. Post-images expire while a transaction waits to be read, and the server steps down as the stream is opened
  /// again without them.
  @Test func expiredImagesInATransaction() throws {
    try withBench(try MongoModel(members: 3, seed: 14)) { bench in
      try bench.model.run(
        BSONDocument(json: #"{"create": "agents", "changeStreamPreAndPostImages": {"enabled": true}}"#), database: "t")
      try bench.model.insert(
        ScenarioBench.agents, try ["a", "b", "c"].map { try Documents.agent($0, description: "one") })
      try bench.start()
      let watch = try Watch.open(bench.address)
      var slow = FailPoint(["getMore"])
      slow.delay = 1
      let asked = bench.model.commandCount("getMore")
      bench.model.fail([slow])
      try poll("each stream waits for a slow reply") { bench.model.commandCount("getMore") >= asked + 3 }
      try bench.describe("a", "two")
      try bench.model.transaction(
        ["b", "c"].map { agent in
          (
            "t",
            try BSONDocument(
              json: """
                {"update": "agents", "updates": [{"q": {"_id": "\(agent):1.0.0"},
                 "u": {"$set": {"description": "two"}}}]}
                """)
          )
        })
      bench.model.expireImages()
      var refusal = FailPoint(
        ["aggregate"], error: CommandError(11602, "InterruptedDueToReplStateChange", "stepped down"))
      refusal.times = 1
      bench.model.fail([refusal])
      bench.model.elect(1)
      for agent in ["a", "b", "c"] { #expect(try bench.waits(agent, "two", seconds: 20)) }
      try bench.describe("a", "three")
      var keys: [String] = []
      while keys.count < 10 {
        let notice = try watch.nextChange(timeout: .seconds(20))
        #expect(notice.kind == .upsert)
        keys.append(notice.key)
        if keys.count(where: { $0 == "a" }) == 2 { break }
      }
      #expect(keys.sorted() == ["a", "a", "b", "c"])
      #expect(try bench.client.status().agents.resyncs == 0)
    }
  }

  /// 15. An event is one byte too large; then the collection is dropped, and another one renamed to its name.
  @Test
  func anEventThatIsTooLargeIsOvercomeInSeconds() throws {
    try withBench(try MongoModel(seed: 15)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start()
      bench.model.fail([FailPoint(["getMore", "aggregate"], error: CommandError(11600, "Interrupted", "interrupted"))])
      try poll("the stream is lost") { try bench.client.status().agents.reconnects > 0 }
      try bench.describe("a", "two")
      // The token holds the _id in hexadecimal digits, and the event holds it twice more.
      let id = String(repeating: "i", count: 8_000)
      let large = BSONDocument {
        $0.append("_id", id)
        $0.append("text", String(repeating: "x", count: 16_768_000))
      }
      try bench.model.insert(ScenarioBench.agents, [large])
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("b", description: "two")])
      bench.model.fail([])
      #expect(try bench.waits("a", "two", seconds: 10))
      #expect(try bench.waits("b", "two", seconds: 10))
      try bench.model.insert("t.temporary", [Documents.agent("a", description: "three")])
      try bench.model.run(BSONDocument(json: #"{"drop": "agents"}"#), database: "t")
      try bench.model.run(
        BSONDocument(json: #"{"renameCollection": "t.temporary", "to": "t.agents"}"#), database: "admin")
      #expect(try bench.waits("a", "three", seconds: 10))
      #expect(try bench.waits("b", "notFound", seconds: 10))
    }
  }
}
