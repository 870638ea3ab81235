// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// The replies of lookups, their metadata, and the rejection of invalid requests.
struct LookupTests {
  /// A lookup by one selector: its method, its field, and its request for a key.
  struct Selector: Sendable, CustomTestStringConvertible {
    let method: String
    let field: String
    let number: Int
    let optionsField: Int
    var others = WireMessage()
    var name: String?

    var testDescription: String { "\(method) \(field)" }

    func request(_ key: [UInt8]) -> WireMessage { others.with(number, key) }
  }

  static let selectors = [
    Selector(method: "GetAgentConfig", field: "agent_id", number: 1, optionsField: 2),
    Selector(method: "GetPrompt", field: "agent_id", number: 1, optionsField: 5),
    Selector(method: "GetPrompt", field: "prompt_id", number: 2, optionsField: 5),
    Selector(method: "GetSourceConfig", field: "source_id", number: 1, optionsField: 4),
    Selector(method: "GetSourceConfig", field: "container", number: 2, optionsField: 4),
    Selector(method: "GetSourceConfig", field: "ai_agent_id", number: 3, optionsField: 4),
    Selector(
      method: "ResolveBlob", field: "container", number: 1, optionsField: 3, others: WireMessage().with(2, "k.json")),
  ]

  private static func run(_ body: (ServiceHarness) throws -> Void) throws {
    try ServiceHarness.run(
      agents: [agent("k")], prompts: [prompt("k", agent: "k")], sources: [source("k", container: "k", agent: "k")], body
    )
  }

  @Test(arguments: selectors) func anAnswerSaysAsOfWhen(_ selector: Selector) throws {
    try Self.run { harness throws in
      let reply = try harness.call(selector.method, selector.request(Array("k".utf8)))
      #expect(reply.code == .ok, "\(reply.status)")
      #expect(reply.message.bytes(1)?.isEmpty == false)
      let metadata = reply.lookup
      #expect(metadata.number(1) > 1 << 32, "revision")
      #expect(metadata.text(2).count == 32, "etag")
      #expect(metadata.number(3) == 0, "not_modified")
      #expect(metadata.number(4) == 0, "stale")
      #expect(metadata.number(6) == 300, "max_age_seconds")
      #expect(metadata.number(7) >= metadata.number(1), "observed_revision")
      #expect(metadata.text(8) == harness.service.epoch.current)

      let again = try harness.call(
        selector.method,
        selector.request(Array("k".utf8)).with(selector.optionsField, lookupOptions(ifNoneMatch: metadata.text(2))))
      #expect(again.code == .ok)
      #expect(again.message.bytes(1) == nil, "no value")
      #expect(again.lookup.number(3) == 1, "not_modified")
      #expect(again.lookup.text(2) == metadata.text(2))
      let other = try harness.call(
        selector.method,
        selector.request(Array("k".utf8)).with(selector.optionsField, lookupOptions(ifNoneMatch: "another")))
      #expect(other.message.bytes(1) == reply.message.bytes(1))
      #expect(other.lookup.number(3) == 0)
    }
  }

  @Test(arguments: selectors) func noAnswerSaysAsOfWhenToo(_ selector: Selector) throws {
    try Self.run { harness throws in
      let reply = try harness.call(selector.method, selector.request(Array("nobody".utf8)))
      #expect(reply.code == .notFound)
      #expect(reply.status.message.contains("\"nobody\""), "names the key: \(reply.status)")
      #expect(reply.status.message.contains(selector.field), "names the field: \(reply.status)")
      let entity: ServedEntity =
        selector.method == "GetAgentConfig" ? .agentConfig : selector.method == "GetPrompt" ? .prompt : .sourceConfig
      #expect(reply.metadata["configlookup-observed-revision"] == "\(harness.reader(entity).observedRevision)")
      #expect(reply.metadata["configlookup-epoch"] == harness.service.epoch.current)
    }
  }

  @Test(arguments: selectors) func aBadKeyIsRefusedByName(_ selector: Selector) throws {
    try Self.run { harness throws in
      func message(_ key: [UInt8]) throws -> String {
        let reply = try harness.call(selector.method, selector.request(key))
        #expect(reply.status.reason == .invalidField)
        #expect(reply.metadata["configlookup-epoch"] == harness.service.epoch.current, "an error says as of when")
        return reply.status.message
      }
      #expect(try message([]) == "\(selector.field): is empty")
      #expect(try message([UInt8](repeating: 0x61, count: 257)) == "\(selector.field): has 257 bytes; the limit is 256")
      #expect(try message([0x6b, 0xff]) == "\(selector.field): is not valid UTF-8")
      #expect(try message([0xed, 0xa0, 0x80]) == "\(selector.field): is not valid UTF-8")
      #expect(try message([0x6b, 0, 0x6b]) == "\(selector.field): contains a zero byte")
      let longest = [UInt8](repeating: 0x61, count: 256)
      #expect(try harness.call(selector.method, selector.request(longest)).code == .notFound)
    }
  }

  @Test(arguments: selectors) func aRequestThatIsNoneIsRefused(_ selector: Selector) throws {
    try Self.run { harness throws in
      let reply = try harness.call(selector.method, bytes: [0x0a, 0x7f, 0x61])
      #expect(reply.status.reason == .invalidRequest)
      #expect(reply.status.message == "the request is not a valid protobuf message of its type")
    }
  }

  @Test func aSelectorIsNeeded() throws {
    try Self.run { harness throws in
      #expect(
        try harness.call("GetPrompt").status
          == RPCStatus.invalid("selector", "set agent_id or prompt_id", reason: .selectorMissing))
      #expect(
        try harness.call("GetSourceConfig").status
          == RPCStatus.invalid("selector", "set source_id, container or ai_agent_id", reason: .selectorMissing))
    }
  }

  @Test func aPathIsLongerThanAKey() throws {
    try Self.run { harness throws in
      func reply(_ path: [UInt8]) throws -> ServiceHarness.Reply {
        try harness.call("ResolveBlob", WireMessage().with(1, "k").with(2, path))
      }
      #expect(try reply([UInt8](repeating: 0x61, count: 4096)).code == .ok)
      #expect(
        try reply([UInt8](repeating: 0x61, count: 4097)).status.message == "path: has 4097 bytes; the limit is 4096")
      #expect(try reply([]).status.message == "path: is empty")
      #expect(try reply([0xff]).status.message == "path: is not valid UTF-8")
    }
  }

  @Test func aKeyIsComparedAsBytes() throws {
    try ServiceHarness.run(agents: [agent("caf\u{e9}"), agent("e\u{301}", description: "two scalars")]) {
      harness throws in
      #expect(try harness.call("GetAgentConfig", getAgentConfig("caf\u{e9}")).code == .ok)
      #expect(try harness.call("GetAgentConfig", getAgentConfig("cafe\u{301}")).code == .notFound)
      #expect(try harness.call("GetAgentConfig", getAgentConfig("\u{e9}")).code == .notFound)
    }
  }

  // MARK: Staleness

  @Test(arguments: selectors) func contentsOlderThanTheCallerTakesAreRefused(_ selector: Selector) throws {
    try Self.run { harness throws in
      for source in harness.sources { source.setConnected(false) }
      let request = selector.request(Array("k".utf8))
      func reply(_ milliseconds: UInt64) throws -> ServiceHarness.Reply {
        try harness.call(
          selector.method,
          request.with(selector.optionsField, lookupOptions(maximumStalenessMilliseconds: milliseconds)))
      }
      try harness.waitUntilCutOff()
      harness.clock.advance(by: .seconds(2))
      #expect(try reply(2000).code == .ok)
      #expect(try reply(2000).lookup.number(5) == 2000, "age_ms")
      let refused = try reply(1999)
      #expect(refused.status.reason == .maxStalenessExceeded)
      #expect(refused.status.message.contains("options.max_staleness_ms"), "\(refused.status)")
      #expect(refused.metadata["configlookup-observed-revision"] != nil)
      #expect(try reply(0).code == .ok)
    }
  }

  @Test func pastTheTTLAnswersAreMarkedStale() throws {
    try Self.run { harness throws in
      for source in harness.sources { source.setConnected(false) }
      try harness.waitUntilCutOff()
      harness.clock.advance(by: .milliseconds(299_500))
      var metadata = try harness.call("GetAgentConfig", getAgentConfig("k")).lookup
      #expect(metadata.number(4) == 0)
      #expect(metadata.number(6) == 0, "half a second is no second")
      harness.clock.advance(by: .milliseconds(500))
      #expect(try harness.call("GetAgentConfig", getAgentConfig("k")).lookup.number(4) == 0, "just within")
      harness.clock.advance(by: .milliseconds(1))
      metadata = try harness.call("GetAgentConfig", getAgentConfig("k")).lookup
      #expect(metadata.number(4) == 1)
      #expect(metadata.number(5) == 300_001)
      #expect(metadata.number(6) == 0)
      #expect(try harness.call("ListAgentConfigs").message.message(4).number(4) == 1)
      #expect(try harness.call("GetAgentConfig", getAgentConfig("k")).code == .ok, "there is always an answer")
    }
  }

  @Test func theServerMayRefuseWhatIsTooOld() throws {
    var options = LookupService.Options()
    options.maximumStaleness = .seconds(10)
    try ServiceHarness.run(
      agents: [agent("k")], prompts: [prompt("k", agent: "k")], sources: [source("k", container: "k", agent: "k")],
      options: options
    ) { harness throws in
      for source in harness.sources { source.setConnected(false) }
      try harness.waitUntilCutOff()
      harness.clock.advance(by: .seconds(10))
      for selector in Self.selectors {
        #expect(try harness.call(selector.method, selector.request(Array("k".utf8))).code == .ok)
      }
      harness.clock.advance(by: .milliseconds(1))
      for selector in Self.selectors {
        let reply = try harness.call(selector.method, selector.request(Array("k".utf8)))
        #expect(reply.status.reason == .serverTooStale)
        #expect(reply.status.message.contains("10001 ms"))
        #expect(reply.metadata["configlookup-epoch"] == harness.service.epoch.current)
      }
      #expect(try harness.call("GetCacheStatus").code == .ok, "that is when people ask")
    }
  }

  // MARK: Minimum revision

  @Test func aRevisionThatIsNotObservedYetIsWaitedFor() throws {
    try Self.run { harness throws in
      let next = harness[.agentConfig].now.rawValue + 1
      let request = getAgentConfig("k").with(2, lookupOptions(minimumRevision: next))
      let wait = try #require(try harness.call("GetAgentConfig", request).wait)
      #expect(wait.expired().reason == .minRevisionNotReached)
      let isReady = Locked(false)
      let timer = wait.begin { isReady.withLock { $0 = true } }
      try harness.settle()
      #expect(!isReady.withLock { $0 })
      try harness[.agentConfig].put(agent("k", description: "new"))
      try harness.settle()
      #expect(isReady.withLock { $0 })
      timer.cancel()
      let reply = try harness.call("GetAgentConfig", request)
      #expect(reply.wait == nil)
      #expect(reply.lookup.number(1) == next)
      let future = getAgentConfig("k").with(2, lookupOptions(minimumRevision: UInt64.max >> 1))
      #expect(try harness.call("GetAgentConfig", future).status.reason == .minRevisionInFuture)
      let foreign = getAgentConfig("k").with(2, lookupOptions(minimumRevision: next).with(3, "another"))
      #expect(try harness.call("GetAgentConfig", foreign).status.reason == .epochMismatch)
    }
  }
}

extension ServiceHarness {
  /// Waits until no stream is open: from then on the contents are not verified.
  func waitUntilCutOff() throws {
    try poll("every stream is gone") { service.caches.allSatisfy { !$0.health().isStreamActive } }
  }
}
