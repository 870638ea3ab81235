// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The rules for keys, with the real server.
@Suite struct KeyRuleTests {
  @Test func badKeysNameTheFieldAndHarmNothing() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      try test.agents.insert(Documents.agent(String(repeating: "k", count: 256)))
      let client = try test.server().client()
      let bad: [(bytes: [UInt8], problem: String)] = [
        ([], "empty"),
        ([UInt8](repeating: UInt8(ascii: "k"), count: 300), "256"),
        ([UInt8](repeating: UInt8(ascii: "k"), count: 257), "256"),
        ([0xFF, 0xFE], "UTF-8"),
        ([0x61, 0xC0, 0x80], "UTF-8"),
        ([0x61, 0x00], "zero byte"),
        ([0x61, 0x00, 0x62], "zero byte"),
      ]
      for (bytes, problem) in bad {
        let reply = try client.agent(bytes: bytes)
        #expect(reply.code == .invalidArgument, "\(bytes.prefix(4))")
        #expect(reply.status.message.hasPrefix("agent_id:"))
        #expect(reply.status.message.contains(problem))
      }
      #expect(try client.agent(String(repeating: "k", count: 256)).status == .ok)
      #expect(try client.agent("a").status == .ok)
    }
  }

  @Test func everyFieldIsNamed() throws {
    try withDeployment { test in
      let server = try test.server()
      let client = try server.client()
      let replies: [(String, LookupReply)] = [
        ("agent_id", try client.prompt(.agentID(""))), ("prompt_id", try client.prompt(.promptID("\0"))),
        ("source_id", try client.source(.sourceID(""))), ("container", try client.source(.container("\0"))),
        ("ai_agent_id", try client.source(.aiAgentID(String(repeating: "x", count: 300)))),
        ("container", try client.resolve("", "p")), ("path", try client.resolve("c", "\0")),
        ("subject", try client.prompt(.agentID("a"), .abTest, subject: String(repeating: "x", count: 300))),
      ]
      for (field, reply) in replies {
        #expect(reply.code == .invalidArgument)
        #expect(reply.status.message.hasPrefix("\(field):"), "\(reply.status)")
      }
      for request in [Watch.Request(keys: ["a", ""]), Watch.Request(prefixes: ["a", "\0"])] {
        let refused = #expect(throws: RPCStatus.self) { try Watch(server.address, request).next() }
        #expect(refused?.code == .invalidArgument)
        #expect(refused?.message.contains(".1:") == true, "\(refused?.message ?? "")")
      }
      let entity = #expect(throws: RPCStatus.self) { try Watch(server.address, .init(entities: [9])).next() }
      #expect(entity?.code == .invalidArgument)
      #expect(try client.invalidate(9).status.code == .invalidArgument)
    }
  }

  /// A key that looks like another one must not find its answer.
  @Test func keysAreComparedByByte() throws {
    try withDeployment { test in
      // "é" as one scalar and as two: equal as strings of Swift, but not as keys.
      try test.agents.insert(Documents.agent("caf\u{E9}", description: "composed"))
      let client = try test.server().client()
      #expect(try client.agent("caf\u{E9}").content == "composed")
      #expect(try client.agent("cafe\u{301}").code == .notFound)
      try test.agents.insert(Documents.agent("cafe\u{301}", description: "decomposed", id: "other"))
      try poll("the other one is served") { try client.agent("cafe\u{301}").content == "decomposed" }
      #expect(try client.agent("caf\u{E9}").content == "composed")
    }
  }
}
