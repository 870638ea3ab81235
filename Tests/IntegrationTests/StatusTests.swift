// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupRPC
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

@Suite struct StatusTests {
  @Test func statusSaysHowTheCachesAre() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      try test.prompts.insert(Documents.prompt("a"))
      try test.prompts.insert(Documents.prompt("b"))
      let server = try test.server()
      let client = try server.client()
      let status = try client.status()
      #expect(status.agents.size == 1)
      #expect(status.epoch == (try client.agent("a").epoch))
      for cache in [status.agents, status.prompts, status.sources] {
        #expect(cache.isStreamActive && cache.isValid)
        #expect(cache.loadedAt > 1_600_000_000_000)
        #expect(cache.observedRevision > 0)
        #expect(cache.reconnects == 0 && cache.resyncs == 0 && cache.drift == 0 && cache.rejectedCount == 0)
      }
      try poll("a quiet collection's observed revision moves on") {
        try client.status().sources.observedRevision > status.sources.observedRevision
      }
      try test.sources.insert(Documents.source("s"))
      try poll("the change is counted") { try client.status().sources.size == 1 }
      #expect(try client.status().sources.lastChangeAt > 1_600_000_000_000)
    }
  }

  @Test func aBadDocumentIsReportedAndItsLastGoodVersionServed() throws {
    try withDeployment { test in
      let secret = "do-not-log-me"
      try test.agents.insert(Documents.agent("bad", description: secret, extra: #", "mcp_sources": [7]"#))
      try test.agents.insert(Documents.agent("good", description: "first"))
      let server = try test.server()
      let client = try server.client()
      #expect(try client.agent("bad").code == .notFound)
      #expect(try client.agent("good").content == "first")
      try test.agents.update(Documents.selector("good:1.0.0"), BSONDocument(json: #"{"$set": {"llm.model": 3}}"#))
      try poll("both are reported") { try client.status().agents.rejectedCount == 2 }
      #expect(try client.agent("good").content == "first", "the last good version goes on being served")
      let rejected = try client.status().agents.rejected
      #expect(rejected.map(\.itemID).sorted() == ["bad:1.0.0", "good:1.0.0"])
      #expect(rejected.map(\.field).sorted() == ["llm.model", "mcp_sources.0"])
      #expect(server.log.lines(event: "document_rejected").count == 2)
      #expect(!server.log.lines.contains { $0.contains(secret) })

      // One document is corrected and another one deleted: both leave the report.
      try test.agents.replace(Documents.selector("bad:1.0.0"), with: Documents.agent("bad", description: "mended"))
      try test.agents.delete(Documents.selector("good:1.0.0"))
      try poll("none is reported") { try client.status().agents.rejectedCount == 0 }
      #expect(try client.agent("bad").content == "mended")
      #expect(try client.agent("good").code == .notFound)
    }
  }

  /// A document that leaves the filter is removed, valid or not.
  @Test func aBadDocumentOutsideTheFilterIsGone() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let client = try test.server().client()
      try test.agents.update(
        Documents.selector("a:1.0.0"), BSONDocument(json: #"{"$set": {"status": "archived", "llm": 1}}"#))
      try poll("it is gone") { try client.agent("a").code == .notFound }
      #expect(try client.status().agents.rejectedCount == 0)
    }
  }

  @Test func invalidateReadsAgain() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let server = try test.server()
      let client = try server.client()
      let watch = try Watch.open(server)
      let before = try client.status()
      let one = try client.invalidate(2)
      #expect(one.status == .ok && one.entities == [2])
      try poll("the prompts have been read again") { try client.status().prompts.loadedAt > before.prompts.loadedAt }
      #expect(try client.status().agents.loadedAt == before.agents.loadedAt)
      let all = try client.invalidate()
      #expect(all.entities == [1, 2, 3])
      try poll("all have been read again") {
        let status = try client.status()
        return status.agents.loadedAt > before.agents.loadedAt && status.sources.loadedAt > before.sources.loadedAt
      }
      // There was no difference: no notice is sent, and the answer keeps its revision.
      try test.agents.insert(Documents.agent("fence"))
      #expect(try watch.changes(before: "fence").isEmpty)
      #expect(try client.status().agents.drift == 0)
    }
  }
}
