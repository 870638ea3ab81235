// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// No lookup is answered before every cache has been loaded.
struct WarmFirstTests {
  private static let lookups: [(String, WireMessage)] = [
    ("GetAgentConfig", getAgentConfig("a")), ("GetPrompt", getPrompt(agentID: "a")),
    ("GetSourceConfig", getSourceConfig(sourceID: "s")), ("ResolveBlob", resolveBlob("c", "p")),
    ("ListAgentConfigs", WireMessage()), ("ListPrompts", WireMessage()), ("ListSourceConfigs", WireMessage()),
  ]

  @Test func everyCallSaysWhatStillLoads() throws {
    let harness = ServiceHarness()
    defer { harness.stop() }
    try harness[.agentConfig].put(agent("a"))
    harness.start(.agentConfig)
    try poll("one cache is warm") { harness.reader(.agentConfig).isLoaded }

    for (name, request) in Self.lookups {
      let reply = try harness.call(name, request)
      #expect(reply.status.reason == .notReady, "\(name)")
      #expect(reply.status.message.contains("prompt, source_config still loading"), "\(name): \(reply.status)")
      #expect(reply.status.details?.retryDelay == .seconds(1))
      #expect(!reply.status.message.contains("agent_config"))
    }
    #expect(throws: RPCStatus.self) { _ = try harness.watch(WireMessage(), TestStreamWriter()) }
    #expect(harness.service.subscriberCount == 0)

    let status = try harness.call("GetCacheStatus")
    #expect(status.code == .ok)
    #expect(try status.message.message(1).number(1) == 1)
    #expect(try status.message.message(1).number(4) == 1, "the loaded one is valid")
    #expect(try status.message.message(2).number(4) == 0, "the cold one is not")
    #expect(status.message.text(4) == "", "no epoch before all have been loaded")

    harness.start(.prompt)
    harness.start(.sourceConfig)
    try poll("all are warm") { harness.service.isWarm }
    #expect(try harness.call("GetAgentConfig", getAgentConfig("a")).code == .ok)
    #expect(try harness.call("GetCacheStatus").message.text(4).count == 16)
  }

  @Test func statusShowsWhatIsRejectedAndReloadReadsAgain() throws {
    try ServiceHarness.run(agents: [agent("a"), agent("b", version: "x.y.z")]) { harness throws in
      func status() throws -> WireMessage { try harness.call("GetCacheStatus").message.message(1) }
      #expect(try status().number(1) == 1)
      #expect(try status().number(3) == 1)
      #expect(try status().number(12) == 1)
      let rejected = try #require(try status().messages(11).first)
      #expect(rejected.text(1) == "b:x.y.z")
      #expect(rejected.text(2) == "version")

      let reads = harness.sources.map(\.reads)
      let one = try harness.call("InvalidateCache", WireMessage().with(1, 2))
      #expect(one.code == .ok)
      try poll("the prompts are read again") { harness[.prompt].reads > reads[1] }
      #expect(harness[.agentConfig].reads == reads[0])
      #expect(try harness.call("InvalidateCache").message.bytes(1) == [1, 2, 3])
      try poll("all are read again") {
        harness[.agentConfig].reads > reads[0] && harness[.sourceConfig].reads > reads[2]
      }

      let wrong = try harness.call("InvalidateCache", WireMessage().with(1, 4))
      #expect(wrong.status == RPCStatus.invalid("entity", "4 is not a known entity"))
    }
  }
}
