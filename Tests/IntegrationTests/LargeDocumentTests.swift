// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// One limit for everything that is served: a document within the encoder's limit is served on every path, and a larger
/// one is rejected with its name.
@Suite struct LargeDocumentTests {
  /// A prompt whose schema has `schemaBytes` bytes as JSON. It consists of quotes, each of which takes two bytes there
  /// and one as stored.
  private func prompt(schemaBytes: Int) throws -> BSONDocument {
    let around = #"{ "q" : "" }"#.utf8.count
    let quotes = String(repeating: #"\""#, count: (schemaBytes - around) / 2)
    let document = try #require(
      Documents.prompt("a", template: "large").json?.replacing(
        #""template" : "large""#, with: #""template" : "large", "output_schema" : { "q" : "\#(quotes)" }"#))
    return try BSONDocument(json: document)
  }

  @Test func bothSidesOfTheBound() throws {
    try withDeployment { test in
      try test.prompts.insert(Documents.prompt("a", template: "small"))
      let server = try test.server()
      let clients = try Transport.allCases.map { try TestClient(server.address, $0) }
      for client in clients { client.printsValues = false }
      let watches = try Transport.allCases.map {
        try Watch.open(server.address, .init(entities: [2], includesValues: true), over: $0)
      }

      // The rest of the prompt takes less than 1 KiB.
      let largest = ServedSize.documentBytes - 1024
      try test.prompts.replace(Documents.selector("a-prompt:1.0.0"), with: prompt(schemaBytes: largest))
      for watch in watches {
        let notice = try watch.nextChange()
        #expect(notice.kind == .upsert && notice.key == "a")
      }
      for client in clients {
        // Several replies together are larger than the unsent bytes that a connection may have.
        for _ in 0..<3 {
          let reply = try client.prompt(.agentID("a"))
          #expect(reply.code == .ok && reply.content == "large")
        }
        #expect(try client.prompt(.promptID("a-prompt")).content == "large")
        #expect(try client.status().prompts.rejectedCount == 0)
      }
      let initial = try Transport.allCases.map {
        try Watch(server.address, .init(entities: [2], sendsInitialState: true, includesValues: true), over: $0)
      }
      for watch in initial { #expect(try watch.nextChange().key == "a") }

      try test.prompts.replace(Documents.selector("a-prompt:1.0.0"), with: prompt(schemaBytes: largest + 2048))
      try poll("it is reported") { try clients[0].status().prompts.rejectedCount == 1 }
      let rejected = try clients[0].status().prompts.rejected
      #expect(rejected.map(\.field) == ["content.output_schema"], "\(rejected)")
      for client in clients { #expect(try client.prompt(.agentID("a")).content == "large", "the last good version") }

      // Other changes arrive on the watches that had the large values: none of them was disconnected.
      try test.prompts.insert(Documents.prompt("b"))
      for watch in watches + initial { _ = try watch.changes(before: "b") }
      #expect(server.log.lines(event: "connection_stalled").isEmpty)
    }
  }

  /// A control character takes six bytes as JSON, and one as stored.
  @Test func aDocumentThatGrowsSixfoldIsRejected() throws {
    try withDeployment { test in
      let control = String(repeating: #"\u0001"#, count: 6 * 1024 * 1024)
      let document = try #require(
        Documents.agent("a").json?.replacing(
          #""event" : "in", "schema" : {  }"#, with: #""event" : "in", "schema" : { "x" : "\#(control)" }"#))
      try test.agents.insert(BSONDocument(json: document))
      let server = try test.server()
      let client = try server.client()
      try poll("it is reported") { try client.status().agents.rejectedCount == 1 }
      let rejected = try client.status().agents.rejected
      #expect(rejected.map(\.field) == ["input.schema"])
      #expect(rejected.first?.problem == "is larger than 16777216 bytes as JSON")
      #expect(try client.agent("a").code == .notFound)
    }
  }
}
