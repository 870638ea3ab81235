// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

@Suite struct ListTests {
  @Test func pagesSkipNothingWhileTheCollectionChanges() throws {
    try withDeployment { test in
      func key(_ number: Int) -> String { "k\(1000 + number)" }
      // Even keys stay throughout.
      for number in stride(from: 0, to: 60, by: 2) {
        try test.agents.insert(Documents.agent(key(number)))
        try test.prompts.insert(Documents.prompt(key(number)))
        try test.sources.insert(Documents.source(key(number)))
      }
      let client = try test.server().client()
      let lists: [(name: String, page: (String) throws -> ListReply)] = [
        ("agents", { try client.listAgents(7, token: $0) }),
        ("prompts", { try client.listPrompts(7, token: $0) }),
        ("sources", { try client.listSources(7, token: $0) }),
      ]
      var random = SeededRandom.fresh("pages of lists")
      for list in lists {
        var present: Set<Int> = []
        var shown: [String] = []
        var token = ""
        repeat {
          let page = try list.page(token)
          #expect(page.status == .ok)
          #expect(page.keys.count <= 7)
          #expect(page.total == 30 + present.count, "\(list.name)")
          shown += page.keys
          token = page.nextToken
          for number in [1, 3, 5].map({ _ in Int.random(in: 0..<30, using: &random) * 2 + 1 }) {
            // Sometimes the last key of the page is removed, too: the token must be valid without it.
            if present.remove(number) == nil {
              present.insert(number)
              try test.agents.insert(Documents.agent(key(number)))
              try test.prompts.insert(Documents.prompt(key(number)))
              try test.sources.insert(Documents.source(key(number)))
            } else {
              try test.agents.delete(Documents.selector("\(key(number)):1.0.0"))
              try test.prompts.delete(Documents.selector("\(key(number))-prompt:1.0.0"))
              try test.sources.delete(Documents.selector(key(number)))
            }
          }
          try poll("the changes are listed") {
            try list.page("").total == 30 + present.count
          }
        } while !token.isEmpty
        #expect(shown == shown.sorted(), "\(list.name): in order of key")
        #expect(Set(shown).count == shown.count, "\(list.name): none twice")
        let stayed = (0..<30).map { key($0 * 2) }
        #expect(shown.filter { stayed.contains($0) } == stayed, "\(list.name): none skipped")
        for number in present {
          try test.agents.delete(Documents.selector("\(key(number)):1.0.0"))
          try test.prompts.delete(Documents.selector("\(key(number))-prompt:1.0.0"))
          try test.sources.delete(Documents.selector(key(number)))
        }
        try poll("all is as it was") {
          let totals = try [client.listAgents().total, client.listPrompts().total, client.listSources().total]
          return totals == [30, 30, 30]
        }
      }
    }
  }

  @Test func aTokenOutlivesItsLastKey() throws {
    try withDeployment { test in
      for name in ["a", "b", "c", "d"] { try test.agents.insert(Documents.agent(name)) }
      let client = try test.server().client()
      let first = try client.listAgents(2)
      #expect(first.keys == ["a", "b"])
      try test.agents.delete(Documents.selector("b:1.0.0"))
      try poll("b is gone") { try client.listAgents().total == 3 }
      let second = try client.listAgents(2, token: first.nextToken)
      #expect(second.keys == ["c", "d"])
      #expect(second.nextToken.isEmpty)
    }
  }

  @Test func filtersAndRows() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a", description: "first"))
      try test.agents.insert(Documents.agent("b", type: "extractor"))
      try test.agents.insert(Documents.agent("c", status: "archived"))
      try test.prompts.insert(Documents.prompt("a", promptID: "p"))
      try test.prompts.insert(Documents.prompt("a", promptID: "p", version: "1.2.3", status: "staged"))
      try test.prompts.insert(Documents.prompt("only-staged", status: "staged"))
      try test.sources.insert(Documents.source("s", container: "box", agent: "ai"))
      try test.sources.insert(Documents.source("t", mode: "scheduled_pull"))
      let client = try test.server().client()

      let agents = try client.listAgents()
      #expect(agents.keys == ["a", "b"] && agents.total == 2)
      let row = try jsonObject(try #require(agents.rows.first))
      #expect(row["version"] as? String == "1.0.0")
      #expect(row["type"] as? String == "explorer")
      #expect(row["description"] as? String == "first")
      #expect(row["model"] as? String == "m")
      #expect(row["updated_at"] as? String == "2026-01-02T00:00:00Z")
      #expect(row["etag"] as? String == (try client.agent("a").etag))
      #expect(try client.listAgents(type: "extractor").keys == ["b"])
      #expect(try client.listAgents(type: "generator").keys == [])
      let wrong = try client.listAgents(type: "wizard")
      #expect(wrong.status.code == .invalidArgument && wrong.status.message.hasPrefix("type:"))

      let prompts = try client.listPrompts()
      #expect(prompts.keys == ["a"], "lists show what is active")
      let prompt = try jsonObject(try #require(prompts.rows.first))
      #expect(prompt["prompt_id"] as? String == "p")
      #expect(prompt["staged_version"] as? String == "1.2.3")

      #expect(try client.listSources().keys == ["s", "t"])
      #expect(try client.listSources(mode: "scheduled_pull").keys == ["t"])
      let source = try jsonObject(try #require(try client.listSources(mode: "blob_trigger").rows.first))
      #expect(source["landing_container"] as? String == "box")
      #expect(source["ai_agent_id"] as? String == "ai")
      #expect(try client.listSources(mode: "sideways").status.message.hasPrefix("ingestion_mode:"))
    }
  }

  @Test func pageSizes() throws {
    try withDeployment { test in
      for number in 0..<120 { try test.agents.insert(Documents.agent("k\(1000 + number)")) }
      let client = try test.server().client()
      #expect(try client.listAgents().keys.count == 20)
      #expect(try client.listAgents(1).keys.count == 1)
      #expect(try client.listAgents(100).keys.count == 100)
      #expect(try client.listAgents(1000).keys.count == 100)
      let negative = try client.listAgents(-1)
      #expect(negative.status.code == .invalidArgument && negative.status.message.hasPrefix("page_size:"))
      let all = try client.listAgents(100)
      #expect(try client.listAgents(100, token: all.nextToken).keys.count == 20)
    }
  }

  @Test func refusesTokensThatAreNotItsOwn() throws {
    try withDeployment { test in
      for name in ["a", "b", "c"] {
        try test.agents.insert(Documents.agent(name))
        try test.prompts.insert(Documents.prompt(name))
        try test.sources.insert(Documents.source(name))
      }
      let client = try test.server().client()
      let token = try client.listAgents(1).nextToken
      #expect(!token.isEmpty)
      #expect(try client.listAgents(1, token: token).keys == ["b"])
      let last = token.last == "A" ? "B" : "A"
      let wrong = [
        try client.listPrompts(1, token: token), try client.listSources(1, token: token),
        try client.listAgents(1, token: token, type: "explorer"),
        try client.listAgents(1, token: try client.listAgents(1, type: "explorer").nextToken),
        try client.listAgents(1, token: "!\(token)"), try client.listAgents(1, token: String(token.dropLast(2))),
        try client.listAgents(1, token: token.dropLast() + last), try client.listAgents(1, token: "x"),
        try client.listAgents(1, token: String(repeating: "A", count: 5000)),
        try client.listAgents(1, token: "\0"),
      ]
      for (number, reply) in wrong.enumerated() {
        #expect(reply.status.code == .invalidArgument, "\(number)")
        #expect(reply.status.message.hasPrefix("page_token:"), "\(number)")
      }
    }
  }
}
