// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import Foundation
internal import TestSupport
internal import Testing

/// Documents of a real deployment are served, both as they are stored and as people write them.
struct FixtureTests {
  /// The documents of a file, each with the key by which it is looked up.
  private func documents(_ folder: String, _ name: String, key: String) throws -> [(key: String, json: String)] {
    let file = packageRoot.appendingPathComponent("Tests/Fixtures/\(folder)/\(name).json")
    let array = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [[String: Any]])
    return try array.map { document in
      var document = document
      let value = try #require(document[key] as? String)
      // The fields that the authoring tool adds when it stores a document.
      if document["_id"] == nil { document["_id"] = document["id"] ?? value }
      if name == "source_configs", document["enabled"] == nil { document["enabled"] = true }
      return (value, String(decoding: try JSONSerialization.data(withJSONObject: document), as: UTF8.self))
    }
  }

  @Test(arguments: [("stored", 3, 3, 5), ("authored", 3, 3, 3)])
  func everyDocumentIsServed(_ folder: String, _ agentCount: Int, _ promptCount: Int, _ sourceCount: Int) throws {
    let agents = try documents(folder, "agent_configs", key: "agent_id")
    let prompts = try documents(folder, "prompts", key: "prompt_id")
    let sources = try documents(folder, "source_configs", key: "source_id")
    #expect(agents.count == agentCount && prompts.count == promptCount && sources.count == sourceCount)
    try ServiceHarness.run(
      agents: agents.map(\.json), prompts: prompts.map(\.json), sources: sources.map(\.json)
    ) { harness throws in
      for agent in agents { #expect(try harness.call("GetAgentConfig", getAgentConfig(agent.key)).code == .ok) }
      for prompt in prompts { #expect(try harness.call("GetPrompt", getPrompt(promptID: prompt.key)).code == .ok) }
      for source in sources {
        #expect(try harness.call("GetSourceConfig", getSourceConfig(sourceID: source.key)).code == .ok)
      }
      for method in ["ListAgentConfigs", "ListPrompts", "ListSourceConfigs"] {
        #expect(try harness.call(method).message.number(3) > 0)
      }
    }
  }
}
