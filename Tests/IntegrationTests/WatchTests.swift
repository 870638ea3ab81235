// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import FramedTransport
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The guarantees of a watch as a whole.
@Suite struct WatchTests {
  @Test func beginsWithProgress() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let server = try test.server()
      let client = try server.client()
      let watch = try Watch(server.address)
      let first = try watch.next()
      #expect(first.kind == .progress)
      let reply = try client.agent("a")
      #expect(first.revision > 0 && first.revision <= reply.observedRevision)
      #expect(first.epoch == reply.epoch)
      #expect(first.key.isEmpty && first.reason.isEmpty)
    }
  }

  @Test func filtersByEntityKeyAndPrefix() throws {
    try withDeployment { test in
      let server = try test.server()
      let prompts = try Watch.open(server, .init(entities: [2]))
      let key = try Watch.open(server, .init(keys: ["b", "fence"]))
      let prefix = try Watch.open(server, .init(prefixes: ["ab", "fence"]))
      let both = try Watch.open(server, .init(entities: [1], keys: ["b", "fence"], prefixes: ["abc"]))
      for name in ["a", "ab", "abc", "b", "bc"] {
        try test.agents.insert(Documents.agent(name))
        try test.prompts.insert(Documents.prompt(name))
      }
      // Each collection has a change stream of its own: a notice of one implies nothing for the others.
      func names(_ watch: Watch, fences: Int) throws -> Set<String> {
        var seen: Set<String> = []
        var left = fences
        while left > 0 {
          let notice = try watch.nextChange()
          // Each prompt is announced by its prompt_id, too.
          if notice.selector == "prompt_id" { continue }
          if notice.key == "fence" { left -= 1 } else { seen.insert(notice.cacheKey) }
        }
        return seen
      }
      try test.agents.insert(Documents.agent("fence"))
      try test.prompts.insert(Documents.prompt("fence"))
      #expect(
        try names(prompts, fences: 1) == ["prompt:a", "prompt:ab", "prompt:abc", "prompt:b", "prompt:bc"])
      #expect(try names(key, fences: 2) == ["agent_config:b", "prompt:b"])
      #expect(
        try names(prefix, fences: 2) == ["agent_config:ab", "agent_config:abc", "prompt:ab", "prompt:abc"])
      #expect(try names(both, fences: 1) == ["agent_config:abc", "agent_config:b"])
    }
  }

  @Test(arguments: [false, true]) func initialState(withValues: Bool) throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a", description: "of a"))
      try test.agents.insert(Documents.agent("draft", status: "draft"))
      try test.prompts.insert(Documents.prompt("a", template: "of prompt"))
      try test.prompts.insert(Documents.prompt("a", version: "2.0.0", status: "staged", template: "of staged"))
      try test.sources.insert(Documents.source("s", container: "c", agent: "a", description: "of s"))
      let server = try test.server()
      let client = try server.client()
      let watch = try Watch.open(server, .init(sendsInitialState: true, includesValues: withValues))
      var state: [String: WatchNotice] = [:]
      var last = try watch.next()
      while last.kind != .progress {
        #expect(last.kind == .upsert && last.reason == "initial_state")
        #expect(state.updateValue(last, forKey: last.cacheKey) == nil)
        last = try watch.next()
      }
      #expect(last.revision > 0)
      #expect(
        Set(state.keys) == [
          "agent_config:a", "prompt:a", "prompt:a:staged", "prompt.prompt_id:a-prompt",
          "prompt.prompt_id:a-prompt:staged", "source_config:s", "source_config.container:c",
          "source_config.ai_agent_id:a",
        ])
      #expect(state["agent_config:a"]?.etag == (try client.agent("a").etag))
      #expect(state["prompt:a:staged"]?.revision == (try client.prompt(.agentID("a"), .staged).revision))
      #expect(state["agent_config:a"]?.content == (withValues ? "of a" : nil))
      #expect(state["prompt:a:staged"]?.content == (withValues ? "of staged" : nil))
      #expect(state["source_config:s"]?.content == (withValues ? "of s" : nil))
      try test.agents.insert(Documents.agent("later"))
      #expect(try watch.nextChange().key == "later")

      let filtered = try Watch.open(server, .init(entities: [1], prefixes: ["lat"], sendsInitialState: true))
      // The latest change may be delivered both as a change and in the initial state.
      var first = try filtered.next()
      #expect(first.key == "later")
      while first.key == "later" { first = try filtered.next() }
      #expect(first.kind == .progress)
    }
  }

  @Test func progressComesOnTheInterval() throws {
    try withDeployment { test in
      let server = try test.server()
      let watch = try Watch.open(server, .init(progressMilliseconds: 50))
      let first = try watch.next().revision
      var last = first
      var count = 0
      // The revision advances for a collection without changes, too: with each reply of the database.
      while count < 20 || last == first {
        let notice = try watch.next()
        #expect(notice.kind == .progress && notice.reason.isEmpty)
        #expect(notice.revision >= last, "never back")
        last = notice.revision
        count += 1
        try #require(count < 1000, "the revision has not moved")
      }
      let tooOften = try Watch(server.address, .init(progressMilliseconds: 1))
      let refused = #expect(throws: RPCStatus.self) { try tooOften.next() }
      #expect(refused?.code == .invalidArgument)
      #expect(refused?.message.contains("progress_interval_ms") == true)
    }
  }

  /// The database is the test's own: with several writers the operation times of SecantusDB run ahead of its change
  /// streams (an empty getMore, and then a change that is older than the reply before it), which those of MongoDB do
  /// not.
  @Test func progressNeverRunsAheadOfNotices() throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        let server = try test.server()
        let watch = try Watch.open(server, .init(progressMilliseconds: 10))
        let (agents, count) = (test.agents, 300)
        let writer = Background("writer") {
          for number in 0..<count { try agents.insert(Documents.agent("k\(number)")) }
        }
        var progress: UInt64 = 0
        var seen = 0
        while seen < count {
          let notice = try watch.next()
          if notice.kind == .progress {
            progress = notice.revision
          } else {
            #expect(notice.revision > progress, "a PROGRESS had said that all up to there was sent")
            seen += 1
          }
        }
        try writer.finish()
      }
    }
  }

  @Test func twoServersAnnounceAlike() throws {
    try withDeployment { test in
      let servers = [try test.server(), try test.server()]
      let watches = try servers.map { try Watch.open($0, .init(includesValues: true)) }
      func same(_ change: () throws -> Void) throws {
        try change()
        // A prompt is announced by agent_id and by prompt_id: the second notice can arrive together with that of the
        // next change.
        let notices = try watches.map { watch in
          var notice = try watch.nextChange()
          while notice.selector == "prompt_id" { notice = try watch.nextChange() }
          return notice
        }
        #expect(notices[0] == notices[1])
      }
      try same { try test.agents.insert(Documents.agent("a")) }
      try same { try test.agents.update(Documents.selector("a:1.0.0"), Documents.set("description", "x")) }
      try same {
        try test.prompts.insert(
          Documents.prompt("a", status: "staged", extra: #", "ab_test": {"enabled": true, "traffic_percentage": 5}"#))
      }
      try same { try test.sources.insert(Documents.source("s", pattern: "{b}/{a}", fields: ["a", "b"])) }
      try same { try test.agents.delete(Documents.selector("a:1.0.0")) }
      let late = try test.server()
      let epochs = try (servers + [late]).map { try $0.client().source(.sourceID("s")) }
      #expect(Set(epochs.map(\.epoch)).count == 1)
      #expect(Set(epochs.map(\.etag)).count == 1)
    }
  }

  /// Data before notice: while documents change fast, a lookup that is made when a notice arrives, on another
  /// connection, never returns the state before it.
  @Test func aLookupAfterANoticeAnswersIt() throws {
    try withDeployment { test in
      let server = try test.server()
      let address = server.address
      let seen = Locked(0)
      let watchers = try (0..<3).map { number in
        let handed = Handed(try Watch.open(server))
        return Background("watcher \(number)") {
          let (watch, client) = (try handed.take(), try TestClient(address))
          while true {
            let notice = try watch.nextChange()
            if notice.key == "fence" { return }
            let reply = try client.agent(notice.key)
            seen.withLock { $0 += 1 }
            guard reply.isAsNew(as: notice) else {
              throw TestFailure("\(notice), but then \(reply.status) \(reply.revision) \(reply.etag)")
            }
          }
        }
      }
      for number in 0..<300 {
        let key = "k\(number % 7)"
        if number % 11 == 10 {
          try test.agents.delete(Documents.selector("\(key):1.0.0"))
        } else {
          try test.agents.replace(
            Documents.selector("\(key):1.0.0"), with: Documents.agent(key, description: "\(number)"))
        }
      }
      try test.agents.insert(Documents.agent("fence"))
      for watcher in watchers { try watcher.finish() }
      #expect(seen.withLock { $0 } >= 21, "each watcher saw each key, at least")
    }
  }
}

extension LookupReply {
  /// Whether a lookup after a notice returns the announced state or a later one.
  fileprivate func isAsNew(as notice: WatchNotice) -> Bool {
    switch (notice.kind, code) {
    case (.upsert, .ok): revision > notice.revision || (revision == notice.revision && etag == notice.etag)
    // The key has been deleted since: the cache must have observed more than the notice.
    case (.upsert, .notFound):
      (replyMetadata["configlookup-observed-revision"].flatMap(UInt64.init) ?? 0) >= notice.revision
    case (.delete, .notFound): true
    case (.delete, .ok): revision > notice.revision
    default: false
    }
  }
}
