// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Foundation
internal import MongoModel
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Scenarios of real deployments for the real server over a replica set. The numbers are those of the table in the
/// documentation of the model.
@Suite(.serialized) struct ScenarioTests {
  private let resumable = CommandError(11600, "InterruptedAtShutdown", "interrupted at shutdown")

  @Test func theServerAnswersAndAnnounces() throws {
    try withBench(try MongoModel(seed: 1)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start()
      #expect(try bench.content("a") == "one")
      let watch = try Watch.open(bench.address)
      let revision = try bench.describe("a", "two")
      #expect(try bench.content("a", minRevision: revision) == "two")
      let notice = try watch.nextChange()
      #expect(notice.key == "a")
      #expect(notice.revision == revision.rawValue)
      #expect(notice.reason == "change_stream:update")
    }
  }

  /// 1. The commit point stands still while the stream resumes over an update without a post-image.
  @Test
  func minimumRevisionsAboveTheCommitPointAreNotAnsweredOlder() throws {
    try withBench(try MongoModel(seed: 2)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start()
      bench.model.fail([FailPoint(["getMore", "aggregate"], error: resumable)])
      try bench.describe("a", "two")
      bench.model.holdCommits()
      let lag = try bench.describe("a", "three")
      bench.model.fail([])
      #expect(try bench.waits("a", "two", seconds: 10))
      // Several empty replies come in this time.
      let end = soon(.seconds(2))
      while MonotonicTime.now < end {
        let reply = try bench.client.agent("a")
        #expect(reply.observedRevision < lag.rawValue, "the majority does not have it yet")
        if reply.observedRevision >= lag.rawValue { return }
        usleep(50_000)
      }
      bench.model.commit()
      #expect(try bench.content("a", minRevision: lag) == "three")
    }
  }

  /// 2. A batch is cut between two documents of one insert, which share a key.
  @Test func halfOfAnInsertIsNotShown() throws {
    try withBench(try MongoModel(seed: 3)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a")])
      try bench.start()
      bench.model.setEventsPerBatch(1)
      var slow = FailPoint(["getMore"])
      slow.delay = 0.5
      bench.model.fail([slow])
      let watch = try Watch.open(bench.address)
      let revision = try bench.model.insert(
        ScenarioBench.agents,
        [
          Documents.agent("k", version: "1.0.0", description: "low"),
          Documents.agent("k", version: "2.0.0", description: "high"),
        ])
      var seen: Set<String> = []
      let end = soon(.seconds(10))
      while MonotonicTime.now < end, !seen.contains("high") {
        seen.insert(try bench.content("k"))
        usleep(10_000)
      }
      #expect(seen == ["notFound", "high"])
      #expect(try bench.content("k", minRevision: revision) == "high")
      let notice = try watch.nextChange()
      #expect(notice.revision == revision.rawValue)
      let reply = try bench.client.agent("k")
      #expect(notice.etag == reply.etag, "the last notice of the revision is of the last state")
    }
  }

  /// 5. A response deadline answers an empty batch in the middle of a scan.
  @Test func anEmptyReplyInTheMiddleOfAScanProvesNothing()
    throws
  {
    try withBench(try MongoModel(.mongoDB90, seed: 5)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start()
      bench.model.setScanRate(50)
      bench.model.writeNoops(100)
      let revision = try bench.describe("a", "two")
      let end = soon(.seconds(10))
      var content = ""
      while MonotonicTime.now < end, content != "two" {
        let reply = try bench.client.agent("a")
        content = reply.content
        #expect(content == "two" || reply.observedRevision < revision.rawValue)
        if content != "two", reply.observedRevision >= revision.rawValue { return }
        usleep(20_000)
      }
      #expect(content == "two")
    }
  }

  /// 9. The time at which the first load begins is rolled back.
  @Test func aFirstLoadGetsOverARollback() throws {
    try withBench(try MongoModel(members: 3, seed: 9)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      bench.model.partition([0, 1, 1])
      try bench.describe("a", "lost", member: 0)
      try bench.launch()
      try poll("the server reads") { bench.model.commandCount("find", member: 0) >= 3 }
      bench.model.elect(1)
      try bench.describe("a", "won", member: 1)
      bench.model.partition([0, 0, 0])
      #expect(try bench.content("a") == "won")
    }
  }

  /// 11. A failover of 40 s with refusals and silence.
  @Test func aLongFailoverLosesNothing()
    throws
  {
    try withBench(try MongoModel(seed: 11)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start()
      #expect(try bench.content("a") == "one")
      let watch = try Watch.open(bench.address)
      let commands: Set = ["getMore", "aggregate", "find", "ping"]
      func refuse(_ code: Int32, seconds: UInt32) {
        bench.model.fail([FailPoint(commands, error: CommandError(code, "refusal", "refused"))])
        sleep(seconds)
      }
      refuse(10107, seconds: 4)
      bench.model.setSilent(true, member: 0)
      sleep(20)
      bench.model.setSilent(false, member: 0)
      for code: Int32 in [13436, 11600, 91, 13436] { refuse(code, seconds: 4) }
      try bench.describe("a", "two")
      bench.model.fail([])
      #expect(try bench.waits("a", "two", seconds: 20))
      #expect(try watch.nextChange().kind == .upsert)
      let status = try bench.client.status().agents
      #expect(status.reconnects > 0)
      #expect(status.resyncs == 0)
    }
  }

  /// 12. What other products answer to commands that they do not have.
  @Test(
    arguments: [Personality.atlasFlex, .documentDB])
  func oddAnswersDoNotKeepTheServerFromBecomingReady(_ personality: Personality) throws {
    try withBench(try MongoModel(personality, seed: 12)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.start()
      #expect(try bench.content("a") == "one")
      let revision = try bench.describe("a", "two")
      #expect(try bench.content("a", minRevision: revision) == "two")
    }
  }
}
