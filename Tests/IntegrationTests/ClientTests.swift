// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupClient
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupServer
internal import MongoSource
internal import NearCache
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The client library with real servers and a real database.
@Suite struct ClientTests {
  @Test func everyLookupGivesItsValue() async throws {
    try await withClientDeployment { test in
      let deployment = test.deployment
      for type in ["extractor", "explorer", "generator", "conversational", "tiered-vision"] {
        try deployment.agents.insert(Documents.agent(type, type: type, extra: Self.parts[type] ?? ""))
      }
      try deployment.prompts.insert(Documents.prompt("a", template: "active"))
      try deployment.prompts.insert(Documents.prompt("a", version: "1.1.0", status: "staged", template: "staged"))
      try deployment.sources.insert(
        Documents.source("s1", container: "c", agent: "a", pattern: "in/{day}/{name}.json", fields: ["day", "name"]))
      try deployment.sources.insert(Documents.source("s2", agent: "a"))
      let client = try await test.client([try deployment.server()])

      for type in ["extractor", "explorer", "generator", "conversational", "tiered-vision"] {
        let answer = try await client.agentConfig(type)
        let config = try #require(answer.value)
        #expect(config.agentID == type && config.version == "1.0.0" && answer.revision > 0 && !answer.etag.isEmpty)
        switch (type, config.kind) {
        case ("extractor", .extractor), ("explorer", .explorer), ("generator", .generator),
          ("conversational", .conversational), ("tiered-vision", .tieredVision):
          break
        default: Issue.record("\(type): \(config.kind)")
        }
        #expect(config.metadata.createdAt == Timestamp(milliseconds: 1_767_225_600_000))
      }
      let absent = try await client.agentConfig("nobody")
      #expect(absent.value == nil && absent.revision == 0)
      #expect(try await client.prompt(agentID: "a").value?.content.template == "active")
      #expect(try await client.prompt(agentID: "a", .staged).value?.content.template == "staged")
      #expect(try await client.prompt(promptID: "a-prompt", .staged).value?.status == "staged")
      #expect(try await client.prompt(agentID: "a", subject: "somebody").value?.isStaged == false)
      #expect(try await client.sourceConfig("s2").value?.transformation.aiAgentID == "a")
      let matched = try #require(await client.sourceConfig(aiAgentID: "a").value)
      #expect(matched.config.sourceID == "s1" && matched.otherSourceIDs == ["s2"])
      #expect(try await client.sourceConfig(container: "c").value?.config.sourceID == "s1")
      let blob = try #require(await client.resolveBlob(container: "c", path: "in/monday/one.json").value)
      #expect(blob.config.sourceID == "s1" && blob.fields == ["day": "monday", "name": "one"])
      do {
        _ = try await client.agentConfig("")
        Issue.record("an empty key is none")
      } catch let error as ConfigLookupError {
        #expect(error.code == .invalidArgument && error.message.contains("agent_id"))
        #expect(error.reason == "INVALID_FIELD" && error.fieldViolations.map(\.field) == ["agent_id"])
        #expect(error.fieldViolations.map(\.problem) == ["is empty"] && error.retryDelay == nil)
      }
    }
  }

  /// The fields that the documents of an agent type need in addition to the common ones.
  private static let parts = [
    "generator": #", "output_format": "json""#,
    "conversational": #", "intent_model": "i", "response_model": "r", "state": {}"#,
    "tiered-vision": #", "tiered_llm": {"screen": {"model": "s"}, "diagnose": {"model": "d"}}, "routing": {}"#,
  ]

  /// A hit makes no call, a change is visible at once, and only the changed answer is fetched again.
  @Test(arguments: [false, true]) func theNearCacheIsKeptTrue(pushes: Bool) async throws {
    try await withClientDeployment { test in
      let deployment = test.deployment
      for name in ["a", "b"] { try deployment.agents.insert(Documents.agent(name, description: "one")) }
      try deployment.sources.insert(Documents.source("s", agent: "a", description: "one"))
      let client = try await test.client([try deployment.server()]) { $0.pushesValues = pushes }
      var notices = client.invalidations().makeAsyncIterator()
      for name in ["a", "b", "c", "a", "b", "c"] { _ = try await client.agentConfig(name) }
      _ = try await client.sourceConfig(aiAgentID: "a")
      let before = try #require(client.statistics)
      #expect(before.fetches == 4 && before.hits == 3)

      try deployment.agents.update(Documents.selector("a:1.0.0"), Documents.set("description", "two"))
      let notice = try await notices.nextChange()
      #expect(notice.kind == .upsert && notice.cacheKey == "agent_config:a" && notice.entity == .agentConfig)
      #expect(try await client.agentConfig("a").value?.description == "two")
      #expect(try await client.agentConfig("b").value?.description == "one")
      #expect(client.statistics?.fetches == before.fetches + (pushes ? 0 : 1))
      #expect(try await client.agentConfig("a").revision == notice.revision)

      try deployment.agents.insert(Documents.agent("c", description: "new"))
      _ = try await notices.nextChange()
      #expect(try await client.agentConfig("c").value?.description == "new")
      try deployment.agents.delete(Documents.selector("b:1.0.0"))
      #expect(try await notices.nextChange().kind == .delete)
      #expect(try await client.agentConfig("b").value == nil)
      // Each answer has its own notice; a cached answer is dropped before its notice is delivered.
      try deployment.sources.update(Documents.selector("s"), Documents.set("description", "two"))
      while try await notices.nextChange().cacheKey != "source_config.ai_agent_id:a" {}
      #expect(try await client.sourceConfig(aiAgentID: "a").value?.config.description == "two")
    }
  }

  /// One server is killed, both are down, one is restarted on another port: the client's state at each step.
  @Test func serversComeAndGo() async throws {
    try await withClientDeployment { test in
      let deployment = test.deployment
      try deployment.agents.insert(Documents.agent("a", description: "one"))
      let one = try deployment.server()
      let ports = [one.address.port, UInt16(try freePort())]
      let client = try await test.client([one], also: ports[1]) {
        $0.timeout = .seconds(1)
        $0.errorAfter = .milliseconds(500)
        $0.longestBackoff = .milliseconds(100)
        $0.nearCache?.defaultPolicy.timeToLive = .milliseconds(100)
      }
      var notices = client.invalidations().makeAsyncIterator()
      #expect(client.state == .ready)
      #expect(try await client.agentConfig("a").value?.description == "one")

      one.stop()
      try await eventually("the loss is seen") { client.state != .ready }
      // A cached answer is returned and marked as stale.
      try await eventually("the answer's time is over") { try await client.agentConfig("a").isStale }
      #expect(try await client.agentConfig("a").value?.description == "one")
      await #expect(throws: ConfigLookupError.self) { try await client.agentConfig("b") }
      try await eventually("it is gone for long") { client.state == .error }

      try deployment.agents.update(Documents.selector("a:1.0.0"), Documents.set("description", "two"))
      let address = HostAndPort(host: "127.0.0.1", port: ports[1])
      _ = try deployment.server { $0.listen = address }
      try await eventually("it is found") { client.state == .ready }
      // The change is not missed, although it happened while there was no server.
      let notice = try await notices.nextChange()
      #expect(notice.kind == .upsert && notice.key == "a")
      let answer = try await client.agentConfig("a")
      #expect(answer.value?.description == "two" && !answer.isStale)
    }
  }

  /// A document changes repeatedly while two servers alternate: no answer is older than a notice or an answer before
  /// it, and the last state arrives.
  @Test func neverBackAcrossServers() async throws {
    try await withClientDeployment { test in
      let deployment = test.deployment
      try deployment.agents.insert(Documents.agent("a", description: "0"))
      let servers = [try deployment.server(), try deployment.server()]
      let client = try await test.client(servers) { $0.longestBackoff = .milliseconds(100) }
      let isOver = Locked(false)
      let reader = Task {
        var last: UInt64 = 0
        var count = 0
        while !isOver.withLock({ $0 }) {
          let answer = try await client.agentConfig("a")
          #expect(answer.revision >= last)
          last = max(last, answer.revision)
          count += 1
          await Task.yield()
        }
        return count
      }
      var notices = client.invalidations().makeAsyncIterator()
      let began = MonotonicTime.now
      for step in 1...300 {
        try deployment.agents.update(Documents.selector("a:1.0.0"), Documents.set("description", "\(step)"))
        if step % 50 == 0 { client.loseConnection() }
        await Task.yield()
      }
      let rate = Int(300 / MonotonicTime.now.duration(since: began).seconds)
      var notice = try await notices.nextChange()
      while try await client.agentConfig("a").value?.description != "300" {
        #expect(try await client.agentConfig("a").revision >= notice.revision)
        notice = try await notices.nextChange()
      }
      isOver.withLock { $0 = true }
      let count = try await reader.value
      let statistics = try #require(client.statistics)
      print(
        "neverBackAcrossServers: \(rate) changes a second, \(count) reads, \(statistics.fetches) fetches, "
          + "hit rate \(statistics.hitRate)")
    }
  }

  @Test func aConfigurationThatIsWrongSaysWhere() {
    for (configuration, words) in [
      (ClientConfiguration(addresses: []), "addresses"), (ClientConfiguration(addresses: ["nowhere"]), "HOST:PORT"),
    ] {
      do {
        _ = try ConfigLookupClient(configuration)
        Issue.record("no error for \(words)")
      } catch {
        #expect("\(error)".contains(words))
      }
    }
  }

  @Test func noServerIsSaidInTime() async throws {
    var configuration = ClientConfiguration(addresses: ["127.0.0.1:\(try freePort())"])
    configuration.timeout = .milliseconds(200)
    let client = try ConfigLookupClient(configuration)
    defer { client.close() }
    await #expect(throws: ConfigLookupError.self) { try await client.ready(timeout: .milliseconds(200)) }
    await #expect(throws: ConfigLookupError.self) { try await client.agentConfig("a") }
    #expect(client.state == .notReady)
  }
}

/// A deployment whose servers are used through the client library.
final class ClientDeployment {
  let deployment: Deployment
  private var clients: [ConfigLookupClient] = []

  init(_ deployment: Deployment) {
    self.deployment = deployment
  }

  /// Makes a client and waits until it is ready.
  func client(
    _ servers: [RunningServer], also port: UInt16? = nil, _ configure: (inout ClientConfiguration) -> Void = { _ in }
  ) async throws -> ConfigLookupClient {
    let addresses = servers.map { "\($0.address)" } + (port.map { ["127.0.0.1:\($0)"] } ?? [])
    var configuration = ClientConfiguration(addresses: addresses)
    configure(&configuration)
    let client = try ConfigLookupClient(configuration)
    clients.append(client)
    try await client.ready()
    return client
  }

  func close() {
    for client in clients { client.close() }
    SharedDatabase.end(deployment)
  }
}

func withClientDeployment(_ body: (ClientDeployment) async throws -> Void) async throws {
  let test = ClientDeployment(try Deployment(nil))
  defer { test.close() }
  try await body(test)
}

/// Waits until a condition holds, like `poll`, without blocking a thread.
func eventually(_ what: String, _ holds: () async throws -> Bool) async throws {
  let deadline = soon()
  while try await !holds() {
    guard MonotonicTime.now < deadline else { throw TestFailure("not in time: \(what)") }
    try await Task.sleep(nanoseconds: 5_000_000)
  }
}

extension Invalidations.Iterator {
  /// Waits for the next notice of a change.
  mutating func nextChange() async throws -> Notice {
    while let notice = await next() {
      if notice.kind == .upsert || notice.kind == .delete { return notice }
    }
    throw TestFailure("the notices have ended")
  }
}
