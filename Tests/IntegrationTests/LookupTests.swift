// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

@Suite struct LookupTests {
  @Test func agentConfig() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a", version: "1.9.0", description: "old"))
      try test.agents.insert(Documents.agent("a", version: "1.10.0", description: "new"))
      try test.agents.insert(Documents.agent("drafted", status: "draft"))
      let server = try test.server()
      let client = try server.client()

      let found = try client.agent("a")
      #expect(found.status == .ok)
      #expect(found.content == "new", "the higher version wins, by number and not by text")
      #expect(found.id == "a:1.10.0")
      #expect(!found.etag.isEmpty)
      #expect(found.revision > 0)
      #expect(found.observedRevision > 0)
      #expect(found.epoch.count == 16)
      #expect(!found.isStale && !found.isNotModified)
      #expect(found.maxAgeSeconds > 200 && found.maxAgeSeconds <= 300)
      #expect(found.ageMilliseconds < 5000)

      for key in ["b", "drafted", "a:1.10.0", "A"] {
        let missing = try client.agent(key)
        #expect(missing.code == .notFound)
        #expect(missing.status.message.contains("\"\(key)\""))
        #expect(missing.replyMetadata["configlookup-observed-revision"].flatMap(UInt64.init) ?? 0 > 0)
        #expect(missing.replyMetadata["configlookup-epoch"] == found.epoch)
      }
    }
  }

  @Test func promptVariants() throws {
    try withDeployment { test in
      try test.prompts.insert(Documents.prompt("a", promptID: "p", template: "active"))
      try test.prompts.insert(
        Documents.prompt("a", promptID: "p", version: "1.1.0", status: "staged", template: "staged"))
      try test.prompts.insert(Documents.prompt("lonely", promptID: "lonely-p", template: "only"))
      let client = try test.server().client()

      for key in [TestClient.PromptKey.agentID("a"), .promptID("p")] {
        let active = try client.prompt(key)
        #expect(active.content == "active")
        #expect(active.variant == .active)
        #expect(try client.prompt(key, .unspecified).text == active.text)
        let staged = try client.prompt(key, .staged)
        #expect(staged.content == "staged")
        #expect(staged.variant == .staged)
        #expect(staged.etag != active.etag)
        // The staged prompt runs no test.
        let tested = try client.prompt(key, .abTest, subject: "s")
        #expect(tested.content == "active")
        #expect(tested.testID.isEmpty)
      }
      for key in [TestClient.PromptKey.agentID("lonely"), .promptID("lonely-p")] {
        #expect(try client.prompt(key).content == "only")
        let staged = try client.prompt(key, .staged)
        #expect(staged.code == .notFound)
        #expect(!staged.hasValue)
        #expect(staged.status.message.contains("lonely"))
        #expect(staged.replyMetadata["configlookup-epoch"]?.count == 16)
        #expect(staged.replyMetadata["configlookup-observed-revision"] != nil)
        #expect(try client.prompt(key, .abTest, subject: "s").content == "only")
      }
      #expect(try client.prompt(.agentID("p")).code == .notFound, "a prompt_id is no agent_id")
      let none = try client.prompt(.none)
      #expect(none.code == .invalidArgument)
      #expect(none.status.message.contains("agent_id or prompt_id"))
    }
  }

  @Test func sharesTestTrafficAlikeOnEveryServer() throws {
    try withDeployment { test in
      try test.prompts.insert(Documents.prompt("a", promptID: "p", template: "active"))
      let share = #", "ab_test": {"enabled": true, "traffic_percentage": 30, "test_id": "trial"}"#
      try test.prompts.insert(
        Documents.prompt("a", promptID: "p", version: "2.0.0", status: "staged", template: "staged", extra: share))
      let first = try test.server().client()
      let second = try test.server().client()
      var staged = 0
      for number in 0..<2000 {
        let reply = try first.prompt(.agentID("a"), .abTest, subject: "farmer-\(number)")
        #expect(reply.testID == "trial")
        #expect(reply.content == (reply.variant == .staged ? "staged" : "active"))
        if reply.variant == .staged { staged += 1 }
        let key: TestClient.PromptKey = number % 2 == 0 ? .agentID("a") : .promptID("p")
        #expect(try second.prompt(key, .abTest, subject: "farmer-\(number)").variant == reply.variant)
      }
      // 600 are expected; four standard deviations are 82.
      #expect((518...682).contains(staged), "\(staged) of 2,000")

      let missing = try first.prompt(.agentID("a"), .abTest)
      #expect(missing.code == .invalidArgument)
      #expect(missing.status.message.contains("subject"))
    }
  }

  @Test func sourceConfig() throws {
    try withDeployment { test in
      try test.sources.insert(Documents.source("s2", container: "c", agent: "ai"))
      try test.sources.insert(Documents.source("s1", container: "c", agent: "ai"))
      try test.sources.insert(Documents.source("s3", container: "c"))
      try test.sources.insert(Documents.source("pulled", mode: "scheduled_pull", container: "c", agent: "ai"))
      try test.sources.insert(Documents.source("off", container: "c", agent: "ai", enabled: false))
      let client = try test.server().client()

      let byID = try client.source(.sourceID("s2"))
      #expect(byID.key == "s2" && byID.others.isEmpty)
      let byContainer = try client.source(.container("c"))
      #expect(byContainer.key == "s1")
      #expect(byContainer.others == ["s2", "s3"], "only blob_trigger sources land in a container")
      let byAgent = try client.source(.aiAgentID("ai"))
      #expect(byAgent.key == "pulled")
      #expect(byAgent.others == ["s1", "s2"])
      for key in [TestClient.SourceKey.sourceID("off"), .container("elsewhere"), .aiAgentID("nobody")] {
        let missing = try client.source(key)
        #expect(missing.code == .notFound)
        #expect(missing.replyMetadata["configlookup-epoch"] == byID.epoch)
      }
      #expect(try client.source(.none).code == .invalidArgument)
    }
  }

  @Test func resolvesBlobs() throws {
    try withDeployment { test in
      try test.sources.insert(
        Documents.source("wide", container: "c", pattern: "{plot}/{file}.json", fields: ["plot"]))
      try test.sources.insert(
        Documents.source(
          "narrow", container: "c", pattern: "results/{plantation_id}/{crop}/{batch_id}.json",
          fields: ["plantation_id", "crop", "batch_id"]))
      try test.sources.insert(
        Documents.source("narrower", container: "c", pattern: "results/{a}/tea/{b}.json", fields: ["b"]))
      try test.sources.insert(Documents.source("plain", container: "open"))
      let client = try test.server().client()

      let narrow = try client.resolve("c", "results/WM-4521/coffee/batch-001.json")
      #expect(narrow.key == "narrow")
      #expect(narrow.fields == ["plantation_id": "WM-4521", "crop": "coffee", "batch_id": "batch-001"])
      #expect(narrow.revision > 0 && !narrow.etag.isEmpty)
      let narrower = try client.resolve("c", "results/WM-4521/tea/batch-001.json")
      #expect(narrower.key == "narrower", "more literal characters")
      #expect(narrower.fields == ["b": "batch-001"])
      #expect(try client.resolve("c", "plot-1/x.json").fields == ["plot": "plot-1"])
      let plain = try client.resolve("open", "any/thing.bin")
      #expect(plain.key == "plain" && plain.fields.isEmpty)
      #expect(try client.resolve("c", "a/b/c/d/e.zip").code == .notFound)
      #expect(try client.resolve("nowhere", "x").code == .notFound)
      let empty = try client.resolve("c", "")
      #expect(empty.code == .invalidArgument && empty.status.message.contains("path"))
    }
  }

  @Test func options() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let server = try test.server()
      let client = try server.client()
      let found = try client.agent("a")

      let same = try client.agent("a", .init(ifNoneMatch: found.etag))
      #expect(same.status == .ok)
      #expect(same.isNotModified && !same.hasValue)
      #expect(same.etag == found.etag && same.revision == found.revision)
      let other = try client.agent("a", .init(ifNoneMatch: "0000000000000000"))
      #expect(!other.isNotModified && other.hasValue)

      // Contents that are verified every quarter of a second are older than the limit at some time between two
      // verifications.
      #expect(try client.agent("a", .init(maxStalenessMilliseconds: 60_000)).status == .ok)
      var tooOld: LookupReply?
      try poll("an answer older than a millisecond") {
        let reply = try client.agent("a", .init(maxStalenessMilliseconds: 1))
        if reply.code != .ok { tooOld = reply }
        return tooOld != nil
      }
      #expect(tooOld?.code == .unavailable)
      #expect(tooOld?.status.message.contains("max_staleness_ms") == true)
      #expect(tooOld?.replyMetadata["configlookup-epoch"] == found.epoch)

      #expect(try client.agent("a", .init(minRevision: found.revision)).code == .ok)
      let future = try client.agent("a", .init(minRevision: .max))
      #expect(future.code == .failedPrecondition)
      #expect(future.status.message.contains("min_revision"))
    }
  }

  @Test func aChangeOfContentChangesTheEtagAndBackAgain() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a", description: "one"))
      let client = try test.server().client()
      let first = try client.agent("a")
      try test.agents.replace(Documents.selector("a:1.0.0"), with: Documents.agent("a", description: "two"))
      try poll("the change is served") { try client.agent("a").content == "two" }
      let second = try client.agent("a")
      #expect(second.etag != first.etag)
      #expect(second.revision > first.revision)
      try test.agents.replace(Documents.selector("a:1.0.0"), with: Documents.agent("a", description: "one"))
      try poll("the change back is served") { try client.agent("a").content == "one" }
      let third = try client.agent("a")
      #expect(third.etag == first.etag, "equal content, equal etag")
      #expect(third.revision > second.revision)
    }
  }

  @Test func beforeWarm() throws {
    try withDeployment { test in
      let closedPort = try freePort()
      let server = try test.server(waits: false) {
        $0.mongoDBURI = "mongodb://127.0.0.1:\(closedPort)/?serverSelectionTimeoutMS=200"
      }
      let client = try server.client()
      for reply in [
        try client.agent("a"), try client.prompt(.agentID("a")), try client.source(.sourceID("a")),
        try client.resolve("c", "p"),
      ] {
        #expect(reply.code == .unavailable)
        #expect(reply.status.message.contains("not ready"))
      }
      #expect(try client.listAgents().status.code == .unavailable)
      #expect(try client.listPrompts().status.code == .unavailable)
      #expect(try client.listSources().status.code == .unavailable)
      let refused = #expect(throws: RPCStatus.self) { try Watch(server.address).next() }
      #expect(refused?.code == .unavailable)
      let status = try client.status()
      #expect(!status.agents.isValid && !status.prompts.isValid && !status.sources.isValid)
      #expect(!status.agents.isStreamActive)
      try poll("the log says what is wrong, with advice") {
        server.log.lines(event: "stream_not_opened").contains { $0.contains("check that MongoDB runs") }
      }
      #expect(server.log.lines(event: "stream_not_opened").allSatisfy { $0.contains("127.0.0.1:\(closedPort)") })
    }
  }
}
