// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// Makes a `WatchInvalidationsRequest`.
private func watchRequest(
  entities: [UInt64] = [], keys: [String] = [], prefixes: [String] = [], startRevision: UInt64 = 0,
  initialState: Bool = false, values: Bool = false, progressMilliseconds: UInt64 = 0,
  selectors: [String] = []
) -> WireMessage {
  var request = WireMessage()
  for entity in entities { request = request.with(1, entity) }
  for key in keys { request = request.with(2, key) }
  for prefix in prefixes { request = request.with(3, prefix) }
  if startRevision > 0 { request = request.with(4, startRevision) }
  if initialState { request = request.with(6, 1) }
  if values { request = request.with(7, 1) }
  if progressMilliseconds > 0 { request = request.with(8, progressMilliseconds) }
  for selector in selectors { request = request.with(9, selector) }
  return request
}

/// The notices that a watch sends to its subscriber.
struct WatchTests {
  private static let agents = [agent("a"), agent("b")]
  private static let prompts = [prompt("p", agent: "a"), prompt("p", agent: "a", version: "1.1.0", status: "staged")]
  private static let sources = [source("s", container: "c")]

  private func run(options: LookupService.Options = .init(), _ body: (ServiceHarness) throws -> Void) throws {
    try ServiceHarness.run(
      agents: Self.agents, prompts: Self.prompts, sources: Self.sources, options: options, body)
  }

  @Test func firstAProgressThenEachChange() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      let session = try harness.watch(watchRequest(), writer)
      #expect(writer.shorts == ["progress"])
      let observed = ServedEntity.allCases.map { harness.reader($0).observedRevision.rawValue }
      #expect(writer.notices.first?.revision == observed.min())
      #expect(writer.notices.first?.epoch == harness.service.epoch.current)
      #expect(harness.service.subscriberCount == 1)

      // A notice is never ahead of the answers of lookups.
      var answered: [String] = []
      writer.onSend = { notice in
        guard notice.cacheKey == "agent_config:a" else { return }
        let etag = (try? harness.call("GetAgentConfig", getAgentConfig("a")))?.lookup.text(2) ?? ""
        answered.append(etag == notice.etag ? "same" : "\(etag) for \(notice.etag)")
      }
      let before = try harness.call("GetAgentConfig", getAgentConfig("a")).lookup.text(2)
      let revision = try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.settle()
      try harness[.prompt].put(prompt("p", agent: "a", version: "1.1.0", status: "staged", template: "new"))
      try harness.settle()
      harness[.sourceConfig].delete("s")
      try harness.settle()
      // A change that leaves every answer as it was.
      try harness[.agentConfig].put(agent("z", status: "draft"))
      try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.settle()
      #expect(
        writer.shorts.dropFirst() == [
          "upsert agent_config:a", "upsert prompt:a:staged", "upsert prompt.prompt_id:p:staged",
          "delete source_config:s", "delete source_config.container:c",
        ])
      #expect(answered == ["same"])
      let notice = try #require(writer.notices.dropFirst().first)
      #expect(notice.entity == 1)
      #expect(notice.key == "a")
      #expect(notice.revision == revision.rawValue)
      #expect(notice.itemID == "a:1.0.0")
      #expect(notice.reason == "change_stream:replace")
      #expect(notice.committedAtSeconds == UInt64(revision.seconds))
      #expect(notice.previousETag == before)
      #expect(notice.value == nil)
      session.cancelled()
    }
  }

  @Test func initialStateThenItsProgressThenChanges() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      let session = try harness.watch(watchRequest(initialState: true), writer)
      try harness[.agentConfig].put(agent("b", description: "new"))
      try harness.settle()
      #expect(
        writer.shorts == [
          "progress", "upsert agent_config:a", "upsert agent_config:b", "upsert prompt:a", "upsert prompt:a:staged",
          "upsert prompt.prompt_id:p", "upsert prompt.prompt_id:p:staged", "upsert source_config.container:c",
          "upsert source_config:s", "progress initial_state", "upsert agent_config:b",
        ])
      #expect(writer.notices.dropFirst().first?.reason == "initial_state")
      #expect(writer.notices.filter { $0.kind == .progress }.map(\.revision).min() == writer.notices.first?.revision)
      session.cancelled()
    }
  }

  @Test func aChangeDuringTheInitialStateComesAfterIt() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      writer.room = 2
      let session = try harness.watch(watchRequest(entities: [1], initialState: true), writer)
      #expect(writer.takeShorts() == ["progress", "upsert agent_config:a"])
      try harness[.agentConfig].put(agent("b", description: "new"))
      harness[.agentConfig].delete("a:1.0.0")
      try harness.settle()
      #expect(writer.notices.isEmpty, "the peer takes nothing")
      writer.room = .max
      session.writable()
      #expect(writer.notices.map(\.etag)[0] != writer.notices.map(\.etag)[2])
      #expect(
        writer.takeShorts() == [
          "upsert agent_config:b", "progress initial_state", "upsert agent_config:b", "delete agent_config:a",
        ])
      session.cancelled()
    }
  }

  /// A change that has been applied and not yet delivered is part of the initial state: it is not announced again.
  @Test func whatTheInitialStateHoldsIsNotToldAgain() throws {
    try run { harness throws in
      try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.apply()
      let writer = TestStreamWriter()
      let session = try harness.watch(watchRequest(entities: [1], initialState: true), writer)
      try harness.settle()
      #expect(
        writer.shorts == ["progress", "upsert agent_config:a", "upsert agent_config:b", "progress initial_state"])
      session.cancelled()
    }
  }

  @Test func filters() throws {
    func shorts(_ request: WireMessage) throws -> [String] {
      var shorts: [String] = []
      try run { harness throws in
        let writer = TestStreamWriter()
        let session = try harness.watch(request, writer)
        for document in [agent("a", description: "n"), agent("ab"), agent("b", description: "n")] {
          try harness[.agentConfig].put(document)
        }
        try harness.settle()
        try harness[.prompt].put(prompt("p", agent: "a", version: "1.1.0", status: "staged", template: "n"))
        try harness.settle()
        harness[.sourceConfig].delete("s")
        try harness.settle()
        shorts = writer.shorts.filter { !$0.hasPrefix("progress") }
        session.cancelled()
      }
      return shorts
    }
    let all = [
      "upsert agent_config:a", "upsert agent_config:ab", "upsert agent_config:b", "upsert prompt:a:staged",
      "upsert prompt.prompt_id:p:staged", "delete source_config:s", "delete source_config.container:c",
    ]
    #expect(try shorts(watchRequest()) == all)
    #expect(try shorts(watchRequest(entities: [2, 3, 2])) == Array(all[3...]))
    #expect(try shorts(watchRequest(keys: ["a", "s"])) == [all[0], all[3], all[5]])
    #expect(try shorts(watchRequest(prefixes: ["a"])) == Array(all[0...1]) + [all[3]])
    #expect(try shorts(watchRequest(entities: [1], keys: ["b"], prefixes: ["ab"])) == Array(all[1...2]))
    #expect(try shorts(watchRequest(keys: ["a"], initialState: true)).prefix(3) == [all[0], "upsert prompt:a", all[3]])
  }

  @Test func aBadRequestIsRefusedByName() throws {
    try run { harness throws in
      func problem(_ request: WireMessage) -> String {
        do {
          _ = try harness.watch(request, TestStreamWriter())
          return "none"
        } catch {
          return "\(error)"
        }
      }
      #expect(problem(watchRequest(entities: [1, 4])) == "INVALID_ARGUMENT: entities.1: 4 is not a known entity")
      #expect(problem(watchRequest(keys: ["a", ""])) == "INVALID_ARGUMENT: keys.1: is empty")
      #expect(problem(watchRequest(prefixes: [""])) == "INVALID_ARGUMENT: key_prefixes.0: is empty")
      #expect(
        problem(watchRequest(keys: [String(repeating: "k", count: 257)]))
          == "INVALID_ARGUMENT: keys.0: has 257 bytes; the limit is 256")
      let unknown = #expect(throws: RPCStatus.self) {
        _ = try harness.watch(watchRequest(selectors: ["weather"]), TestStreamWriter())
      }
      #expect(unknown?.reason == .unknownSelector && unknown?.details?.violations.map(\.field) == ["selectors.0"])
      #expect(problem(watchRequest(progressMilliseconds: 9)).contains("progress_interval_ms: 9 is below 10"))
      #expect(harness.service.subscriberCount == 0)
    }
  }

  @Test func valuesAreWhatALookupAnswers() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      let session = try harness.watch(watchRequest(initialState: true, values: true), writer)
      try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.settle()
      harness[.agentConfig].delete("b:1.0.0")
      try harness.settle()
      func value(_ name: String, _ request: WireMessage) throws -> [UInt8]? {
        try harness.call(name, request).message.bytes(1)
      }
      let notices = writer.notices
      func last(_ cacheKey: String) -> SeenNotice? { notices.last { $0.cacheKey == cacheKey } }
      #expect(last("agent_config:a")?.value?.field == 12)
      #expect(try last("agent_config:a")?.value?.bytes == value("GetAgentConfig", getAgentConfig("a")))
      #expect(last("prompt:a")?.value?.field == 13)
      #expect(try last("prompt:a")?.value?.bytes == value("GetPrompt", getPrompt(agentID: "a")))
      #expect(
        try last("prompt:a:staged")?.value?.bytes
          == value("GetPrompt", getPrompt(agentID: "a").with(3, Variant.staged.rawValue)))
      #expect(last("source_config:s")?.value?.field == 14)
      #expect(try last("source_config:s")?.value?.bytes == value("GetSourceConfig", getSourceConfig(sourceID: "s")))
      #expect(last("agent_config:b")?.kind == .delete)
      #expect(last("agent_config:b")?.value == nil)
      #expect(notices.filter { $0.kind == .progress }.allSatisfy { $0.value == nil })
      session.cancelled()
    }
  }

  // MARK: Progress and the end

  @Test func progressComesOnTheInterval() throws {
    try run { harness throws in
      let usual = TestStreamWriter()
      let quick = TestStreamWriter()
      let sessions = [
        try harness.watch(watchRequest(), usual), try harness.watch(watchRequest(progressMilliseconds: 500), quick),
      ]
      harness.worker.advance(by: .milliseconds(9900))
      #expect(usual.shorts.count == 1)
      #expect(quick.shorts.count == 20)
      harness.worker.advance(by: .milliseconds(200))
      #expect(usual.shorts == ["progress", "progress"])
      // A change that has been applied and not yet delivered is sent before the PROGRESS that covers it.
      let revision = try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.apply()
      harness.worker.advance(by: .seconds(10))
      #expect(usual.shorts.suffix(2) == ["upsert agent_config:a", "progress"])
      #expect(usual.notices.last.map { $0.revision <= revision.rawValue } == true, "the other caches have seen less")
      for session in sessions { session.cancelled() }
      #expect(harness.worker.timerCount == 0)
    }
  }

  @Test func cancelledIsForgotten() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      let session = try harness.watch(watchRequest(initialState: true), writer)
      session.cancelled()
      let count = writer.notices.count
      #expect(harness.service.subscriberCount == 0)
      #expect(harness.worker.timerCount == 0)
      try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.settle()
      session.writable()
      session.draining()
      session.cancelled()
      #expect(writer.notices.count == count)
      #expect(writer.finish == nil)
    }
  }

  @Test func drainingSaysALastProgressAndEndsWithOK() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      let session = try harness.watch(watchRequest(), writer)
      try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.apply()
      session.draining()
      #expect(writer.shorts == ["progress", "upsert agent_config:a", "progress draining"])
      #expect(writer.finish == .ok)
      #expect(harness.service.subscriberCount == 0)
      #expect(harness.worker.timerCount == 0)
    }
  }

  @Test func watchesWithEqualFiltersHoldOneFilter() throws {
    try run { harness throws in
      let sessions = try (0..<2).map { _ in try harness.watch(WireMessage().with(3, "k"), TestStreamWriter()) }
      let filters = sessions.compactMap { ($0 as? WatchSession)?.options.filter }
      #expect(filters.count == 2 && filters.first === filters.last)
      for session in sessions { session.cancelled() }
    }
  }

  @Test func nothingFollowsTheLastProgressOfASlowSubscriber() throws {
    var options = LookupService.Options()
    options.maximumQueuedKeys = 2
    try run(options: options) { harness throws in
      let writer = TestStreamWriter()
      writer.room = 1
      let session = try harness.watch(watchRequest(), writer)
      try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.settle()
      session.draining()
      session.draining()
      for key in ["a", "c", "d", "e"] { try harness[.agentConfig].put(agent(key, description: "later")) }
      try harness.settle()
      harness.worker.advance(by: .seconds(60))
      #expect(writer.shorts == ["progress"])
      #expect(writer.finish == nil, "it still owes")
      writer.room = .max
      session.writable()
      #expect(writer.shorts == ["progress", "upsert agent_config:a", "progress draining"])
      #expect(writer.finish == .ok)
    }
  }

  // MARK: Slow subscribers

  @Test func aSlowSubscriberGetsTheLatestOfEachKey() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      writer.room = 1
      let session = try harness.watch(watchRequest(), writer)
      for number in 0..<20 {
        try harness[.agentConfig].put(agent("a", description: "\(number)"))
        try harness[.agentConfig].put(agent("b", description: "\(number)"))
      }
      try harness.settle()
      harness[.agentConfig].delete("b:1.0.0")
      try harness.settle()
      writer.room = .max
      session.writable()
      #expect(writer.shorts == ["progress", "upsert agent_config:a", "delete agent_config:b"])
      #expect(writer.notices[1].etag == (try harness.call("GetAgentConfig", getAgentConfig("a")).lookup.text(2)))
      session.cancelled()
    }
  }

  @Test func pastTheLimitOneResyncThenOnAsBefore() throws {
    var options = LookupService.Options()
    options.maximumQueuedKeys = 5
    try run(options: options) { harness throws in
      let writer = TestStreamWriter()
      writer.room = 2
      let session = try harness.watch(watchRequest(initialState: true), writer)
      for number in 0..<30 {
        try harness[.agentConfig].put(agent("k\(number)"))
        try harness.settle()
      }
      let latest = harness[.agentConfig].now.rawValue
      writer.room = 3
      session.writable()
      #expect(writer.shorts == ["progress", "upsert agent_config:a", "resync resync"])
      #expect(writer.notices.last?.reason == "resync")
      #expect(writer.notices.last?.revision == latest)
      writer.room = .max
      session.writable()
      try harness[.agentConfig].put(agent("k1", description: "new"))
      try harness.settle()
      harness.worker.advance(by: .seconds(10))
      #expect(writer.shorts.suffix(2) == ["upsert agent_config:k1", "progress"])
      #expect(writer.shorts.filter { $0.hasPrefix("resync") }.count == 1)
      session.cancelled()
    }
  }
}
