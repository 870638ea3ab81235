// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// Tests of the list methods.
struct ListTests {
  private func request(size: Int64 = 0, token: String = "", filter: String = "") -> WireMessage {
    var request = WireMessage()
    if size != 0 { request = request.with(1, UInt64(bitPattern: size)) }
    if !token.isEmpty { request = request.with(2, token) }
    if !filter.isEmpty { request = request.with(3, filter) }
    return request
  }

  /// The keys of a page, and the token of the next page.
  private func page(
    _ harness: ServiceHarness, _ request: WireMessage, of method: String = "ListAgentConfigs"
  ) throws -> (keys: [String], next: String) {
    let reply = try harness.call(method, request)
    #expect(reply.code == .ok, "\(reply.status)")
    return (try reply.message.messages(1).map { $0.text(1) }, reply.message.text(2))
  }

  private func keys(_ range: Range<Int>) -> [String] { range.map { "k\(1000 + $0)" } }

  @Test func pageSizes() throws {
    try ServiceHarness.run(agents: keys(0..<130).map { agent($0) }) { harness throws in
      #expect(try page(harness, request()).keys == keys(0..<20))
      #expect(try page(harness, request(size: 1)).keys == keys(0..<1))
      #expect(try page(harness, request(size: 100)).keys == keys(0..<100))
      #expect(try page(harness, request(size: 1000)).keys == keys(0..<100))
      #expect(try page(harness, request(size: Int64(Int32.max))).keys == keys(0..<100))
      let refused = try harness.call("ListAgentConfigs", request(size: -1))
      #expect(refused.status == RPCStatus.invalid("page_size", "-1 is below 0"))
      let least = try harness.call("ListAgentConfigs", request(size: Int64(Int32.min)))
      #expect(least.code == .invalidArgument)

      let reply = try harness.call("ListAgentConfigs", request())
      #expect(reply.message.number(3) == 130, "total_count")
      #expect(try reply.message.message(4).number(7) > 0, "observed_revision")
      let last = try page(
        harness, request(size: 100, token: try page(harness, request(size: 100)).next))
      #expect(last.keys == keys(100..<130))
      #expect(last.next == "")
    }
  }

  @Test func summariesSayWhatTheDocumentsSay() throws {
    try ServiceHarness.run(
      agents: [agent("a", version: "1.2.3", description: "about"), agent("b", type: "explorer")],
      prompts: [
        prompt("p", agent: "a"), prompt("p", agent: "a", version: "2.0.0", status: "staged"),
        prompt("q", agent: "only-staged", status: "staged"), prompt("r", agent: "b"),
      ],
      sources: [source("s", container: "c", agent: "a"), source("t", mode: "scheduled_pull")]
    ) { harness throws in
      let agents = try harness.call("ListAgentConfigs").message.messages(1)
      #expect(
        agents.map { $0.texts(1) + $0.texts(2) + $0.texts(3) + $0.texts(4) + $0.texts(5) + $0.texts(6) } == [
          ["a", "a:1.2.3", "1.2.3", "extractor", "about", "m-extractor"],
          ["b", "b:1.0.0", "1.0.0", "explorer", "d", "m-explorer"],
        ])
      let lookup = try harness.call("GetAgentConfig", getAgentConfig("a")).lookup
      #expect(agents.first?.number(8) == lookup.number(1))
      #expect(agents.first?.text(9) == lookup.text(2))
      #expect(try agents.first?.message(7).number(1) == 1_768_003_200)

      let prompts = try harness.call("ListPrompts").message.messages(1)
      #expect(
        prompts.map { [$0.text(1), $0.text(2), $0.text(3), $0.text(4), $0.text(8)] } == [
          ["a", "p", "p:1.0.0", "1.0.0", "2.0.0"], ["b", "r", "r:1.0.0", "1.0.0", ""],
        ])
      let sources = try harness.call("ListSourceConfigs").message.messages(1)
      #expect(
        sources.map { [$0.text(1), $0.text(2), $0.text(3), $0.text(4), $0.text(5), $0.text(6)] } == [
          ["s", "n", "d", "blob_trigger", "c", "a"], ["t", "n", "d", "scheduled_pull", "", ""],
        ])

      #expect(try page(harness, request(filter: "explorer")).keys == ["b"])
      #expect(try harness.call("ListAgentConfigs", request(filter: "explorer")).message.number(3) == 1)
      #expect(try page(harness, request(filter: "scheduled_pull"), of: "ListSourceConfigs").keys == ["t"])
      let wrong = try harness.call("ListAgentConfigs", request(filter: "gardener"))
      #expect(wrong.code == .invalidArgument)
      #expect(wrong.status.message.hasPrefix("type: must be one of extractor"))
      let mode = try harness.call("ListSourceConfigs", request(filter: "x"))
      #expect(mode.status.message.hasPrefix("ingestion_mode: must be one of"))
    }
  }

  /// The size of the documents does not matter: the rows of lists are encoded when a document changes.
  @Test func aListDoesNotUnpackDocuments() throws {
    let large = String(repeating: "x", count: 1 << 20)
    try ServiceHarness.run(
      agents: [agent("a").replacing("{\"f\": 1}", with: "{\"f\": \"\(large)\"}")],
      prompts: (0..<4).flatMap {
        [
          prompt("p\($0)", agent: "a\($0)", template: large),
          prompt("p\($0)", agent: "a\($0)", version: "2.0.0", status: "staged", template: large),
        ]
      }
    ) { harness throws in
      for method in ["ListPrompts", "ListAgentConfigs"] {
        let reply = try harness.call(method)
        #expect(reply.code == .ok)
        #expect(harness.service.states[0].arena.bytesInUse < 1024, "\(method)")
      }
    }
  }

  /// A page is not larger than any other reply, and the pages together contain every row.
  @Test func aPageOfLongTextsHasFewerRows() throws {
    let long = String(repeating: "x", count: ServedSize.documentBytes / 3)
    try ServiceHarness.run(agents: keys(0..<7).map { agent($0, description: long) }) { harness throws in
      var seen: [String] = []
      var token = ""
      repeat {
        let reply = try harness.call("ListAgentConfigs", request(token: token))
        #expect(reply.code == .ok && reply.message.encoded.count <= ServedSize.replyBytes)
        let rows = try reply.message.messages(1).map { $0.text(1) }
        #expect(rows.count == 2 || reply.message.text(2) == "")
        seen += rows
        token = reply.message.text(2)
      } while !token.isEmpty
      #expect(seen == keys(0..<7))
    }
  }

  /// An agent without a model of its own, and a document without the date of its last update.
  @Test func whatADocumentDoesNotSayASummaryDoesNotSay() throws {
    try ServiceHarness.run(
      agents: [
        agent("a").replacing(", \"updated_at\": \"2026-01-10\"", with: "")
      ],
      prompts: [prompt("p", agent: "a").replacing(", \"updated_at\": \"2026-01-10\"", with: "")]
    ) { harness throws in
      let agents = try harness.call("ListAgentConfigs").message.messages(1)
      #expect(agents.map { $0.text(1) } == ["a"])
      #expect(agents.first?.bytes(7) == nil)
      let prompts = try harness.call("ListPrompts").message.messages(1)
      #expect(prompts.map { $0.text(1) } == ["a"])
      #expect(prompts.first?.bytes(5) == nil)
    }
  }

  // MARK: Tokens

  @Test func aTokenOfAnotherListIsRefused() throws {
    try ServiceHarness.run(
      agents: keys(0..<3).map { agent($0) }, prompts: keys(0..<3).map { prompt($0, agent: $0) },
      sources: keys(0..<3).map { source($0) }
    ) { harness throws in
      let token = try page(harness, request(size: 1)).next
      #expect(token != "")
      for (method, filter) in [("ListPrompts", ""), ("ListSourceConfigs", ""), ("ListAgentConfigs", "extractor")] {
        let reply = try harness.call(method, request(size: 1, token: token, filter: filter))
        #expect(
          reply.status
            == RPCStatus.invalid(
              "page_token", "was not returned by this list with this filter", reason: .invalidPageToken))
      }
      #expect(try page(harness, request(size: 1, token: token)).keys == keys(1..<2))
    }
  }

  @Test(arguments: ["k", "k1", "k12", "schlüssel-é-日本語-\u{1f600}", String(repeating: "x", count: 256)])
  func everyChangeOfAByteIsRefused(key: String) throws {
    let list = "agent_config/"
    let token = PageToken.encode(after: LookupKey(key), list: list)
    func decode(_ bytes: [UInt8], _ list: String) -> [UInt8]? {
      bytes.withUnsafeBytes { try? PageToken.decode($0, list: list) }
    }
    let bytes = Array(token.utf8)
    #expect(decode(bytes, list) == Array(key.utf8), "round trip")
    #expect(decode(bytes, list + "x") == nil)
    for place in bytes.indices {
      for byte in UInt8.min...UInt8.max where byte != bytes[place] {
        var mangled = bytes
        mangled[place] = byte
        if let result = decode(mangled, list) {
          Issue.record("byte \(place) as \(byte) gives \(String(decoding: result, as: UTF8.self))")
        }
      }
    }
    for count in bytes.indices { #expect(decode(Array(bytes[..<count]), list) == nil, "cut to \(count)") }
    for more in ["A", "=", "==", "\n", "\0"] { #expect(decode(bytes + Array(more.utf8), list) == nil) }
    #expect(decode([UInt8](repeating: 0x41, count: 2000), list) == nil)
  }

  @Test func keysBeyondASCIIAreOrderedByBytes() throws {
    let keys = ["a", "Z", "é", "e\u{301}", "日本", "\u{1f600}", "z"]
    try ServiceHarness.run(agents: keys.map { agent($0) }) { harness throws in
      var seen: [String] = []
      var token = ""
      repeat {
        let next = try page(harness, request(size: 1, token: token))
        seen += next.keys
        token = next.next
      } while !token.isEmpty
      let wanted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      #expect(seen.map { Array($0.utf8) } == wanted.map { Array($0.utf8) })
    }
  }

  /// An item that is in the list throughout is returned exactly once, whatever is added and removed between two pages.
  @Test(arguments: 0..<6) func pagesStayGoodWhileTheCollectionChanges(run: Int) throws {
    var random = SeededRandom.fresh("pagesStayGoodWhileTheCollectionChanges \(run)")
    let all = keys(0..<60)
    try ServiceHarness.run { harness throws in
      var present: Set<String> = []
      for key in all where random.once(in: 2) {
        try harness[.agentConfig].put(agent(key))
        present.insert(key)
      }
      try harness.settle()
      for _ in 0..<4 {
        var throughout = present
        var seen: [String] = []
        var token = ""
        repeat {
          let next = try page(harness, request(size: Int64(1 + random.below(7)), token: token))
          seen += next.keys
          token = next.next
          for _ in 0..<random.below(6) {
            let key = all[random.below(all.count)]
            if random.once(in: 2) {
              harness[.agentConfig].delete("\(key):1.0.0")
              present.remove(key)
              throughout.remove(key)
            } else {
              try harness[.agentConfig].put(agent(key, description: "\(random.next())"))
              present.insert(key)
            }
          }
          try harness.settle()
        } while !token.isEmpty
        #expect(Set(seen).count == seen.count, "shown twice: \(seen)")
        #expect(seen == seen.sorted())
        #expect(throughout.isSubset(of: seen), "skipped: \(throughout.subtracting(seen).sorted())")
      }
    }
  }
}
