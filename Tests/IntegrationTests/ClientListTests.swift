// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupClient
internal import ConfigLookupCore
internal import MongoSource
internal import NearCache
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The lists of the client library: typed, by page and as a whole, and cached until one of their items changes.
@Suite struct ClientListTests {
  @Test func everyListGivesItsSummaries() async throws {
    try await withClientDeployment { test in
      let deployment = test.deployment
      for number in 0..<5 {
        try deployment.agents.insert(
          Documents.agent("a\(number)", type: number == 2 ? "extractor" : "explorer", description: "\(number)"))
      }
      try deployment.prompts.insert(Documents.prompt("p"))
      try deployment.prompts.insert(Documents.prompt("p", version: "1.1.0", status: "staged"))
      try deployment.sources.insert(Documents.source("s", container: "c", agent: "a1"))
      try deployment.sources.insert(Documents.source("t", mode: "scheduled_pull"))
      let client = try await test.client([try deployment.server()])

      let first = try #require(await client.agentConfigPage(size: 2).value)
      #expect(first.summaries.map(\.agentID) == ["a0", "a1"] && first.totalCount == 5)
      let second = try #require(await client.agentConfigPage(size: 2, after: first.nextPageToken).value)
      #expect(second.summaries.map(\.agentID) == ["a2", "a3"])
      let last = try #require(await client.agentConfigPage(size: 2, after: second.nextPageToken).value)
      #expect(last.summaries.map(\.agentID) == ["a4"] && last.nextPageToken == nil)
      let one = try #require(first.summaries.first)
      #expect(one.id == "a0:1.0.0" && one.version == "1.0.0" && one.type == "explorer" && one.model == "m")
      #expect(one.description == "0" && one.revision > 0 && !one.etag.isEmpty)
      #expect(one.updatedAt == Timestamp(milliseconds: 1_767_312_000_000))
      #expect(try await client.agentConfigs(type: "extractor").map(\.agentID).all() == ["a2"])

      let prompt = try #require(await client.prompts().all().first)
      #expect(prompt.agentID == "p" && prompt.promptID == "p-prompt" && prompt.stagedVersion == "1.1.0")
      #expect(try await client.sourceConfigs().map(\.sourceID).all() == ["s", "t"])
      let source = try #require(await client.sourceConfigs(ingestionMode: "blob_trigger").all().first)
      #expect(source.sourceID == "s" && source.landingContainer == "c" && source.aiAgentID == "a1")

      let error = await #expect(throws: ConfigLookupError.self) { try await client.promptPage(after: "x") }
      #expect(error?.code == .invalidArgument && error?.message.contains("page_token") == true)
    }
  }

  @Test func allPagesComeOneAfterTheOther() async throws {
    try await withClientDeployment { test in
      let names = (0..<230).map { String("agent \(1000 + $0)") }
      for name in names { try test.deployment.agents.insert(Documents.agent(name)) }
      let client = try await test.client([try test.deployment.server()])
      for _ in 0..<2 { #expect(try await client.agentConfigs().map(\.agentID).all() == names) }
      #expect(client.statistics?.fetches == 3 && client.statistics?.hits == 3)
    }
  }

  /// A change drops the lists of its entity and no others; a list after the notice contains the change.
  @Test func aNoticeDropsTheListsOfItsKind() async throws {
    try await withClientDeployment { test in
      let deployment = test.deployment
      try deployment.agents.insert(Documents.agent("a", description: "one"))
      try deployment.prompts.insert(Documents.prompt("p"))
      let client = try await test.client([try deployment.server()])
      var notices = client.invalidations().makeAsyncIterator()
      func descriptions() async throws -> [String] {
        try await client.agentConfigs().map { "\($0.agentID) \($0.description)" }.all()
      }
      for _ in 0..<2 {
        #expect(try await descriptions() == ["a one"])
        #expect(try await client.prompts().all().count == 1)
      }
      #expect(client.statistics?.fetches == 2)
      for (step, change) in ["two", "three"].enumerated() {
        try deployment.agents.update(Documents.selector("a:1.0.0"), Documents.set("description", change))
        _ = try await notices.nextChange()
        #expect(try await descriptions() == ["a \(change)"])
        #expect(try await client.prompts().all().count == 1)
        #expect(client.statistics?.fetches == UInt64(3 + step))
      }
      try deployment.agents.insert(Documents.agent("b", description: "new"))
      _ = try await notices.nextChange()
      #expect(try await descriptions() == ["a three", "b new"])
      try deployment.agents.delete(Documents.selector("a:1.0.0"))
      _ = try await notices.nextChange()
      #expect(try await descriptions() == ["b new"])
    }
  }
}

extension AsyncSequence {
  fileprivate func all() async throws -> [Element] {
    var all: [Element] = []
    for try await element in self { all.append(element) }
    return all
  }
}
