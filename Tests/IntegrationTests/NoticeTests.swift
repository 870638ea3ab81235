// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupRPC
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The notices of a watch for each kind of change.
@Suite struct NoticeTests {
  @Test func insertUpdateReplaceDelete() throws {
    try withDeployment { test in
      let server = try test.server()
      let client = try server.client()
      let watch = try Watch.open(server)

      try test.agents.insert(Documents.agent("a", description: "one"))
      let inserted = try watch.nextChange()
      let first = try client.agent("a")
      #expect(inserted.kind == .upsert)
      #expect(inserted.entity == 1)
      #expect(inserted.key == "a" && inserted.cacheKey == "agent_config:a" && inserted.itemID == "a:1.0.0")
      #expect(inserted.reason == "change_stream:insert")
      #expect(inserted.etag == first.etag && inserted.previousETag.isEmpty)
      #expect(inserted.revision == first.revision)
      #expect(inserted.epoch == first.epoch)
      #expect(inserted.committedAt > 1_600_000_000_000)
      #expect(inserted.content == nil, "no value where none was asked for")

      try test.agents.update(Documents.selector("a:1.0.0"), Documents.set("description", "two"))
      let updated = try watch.nextChange()
      #expect(updated.kind == .upsert && updated.reason == "change_stream:update")
      #expect(updated.previousETag == inserted.etag && updated.etag != inserted.etag)
      #expect(updated.revision > inserted.revision)
      #expect(try client.agent("a").content == "two")

      try test.agents.replace(Documents.selector("a:1.0.0"), with: Documents.agent("a", description: "three"))
      let replaced = try watch.nextChange()
      #expect(replaced.kind == .upsert && replaced.reason == "change_stream:replace")
      #expect(replaced.previousETag == updated.etag)
      #expect(replaced.revision > updated.revision)

      try test.agents.delete(Documents.selector("a:1.0.0"))
      let deleted = try watch.nextChange()
      #expect(deleted.kind == .delete && deleted.reason == "change_stream:delete")
      #expect(deleted.key == "a" && deleted.cacheKey == "agent_config:a" && deleted.itemID == "a:1.0.0")
      #expect(deleted.previousETag == replaced.etag && deleted.etag.isEmpty)
      #expect(deleted.revision > replaced.revision)
      #expect(try client.agent("a").code == .notFound)
    }
  }

  @Test func leavingAndEnteringTheFilter() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      try test.sources.insert(Documents.source("s"))
      let server = try test.server()
      let watch = try Watch.open(server)

      try test.agents.update(Documents.selector("a:1.0.0"), Documents.set("status", "archived"))
      let left = try watch.nextChange()
      #expect(left.kind == .delete && left.key == "a" && left.reason == "change_stream:update")
      try test.agents.update(Documents.selector("a:1.0.0"), Documents.set("status", "active"))
      let entered = try watch.nextChange()
      #expect(entered.kind == .upsert && entered.key == "a" && entered.etag == left.previousETag)

      try test.sources.update(Documents.selector("s"), BSONDocument(json: #"{"$unset": {"enabled": ""}}"#))
      let without = try watch.nextChange()
      #expect(without.kind == .delete && without.cacheKey == "source_config:s" && without.entity == 3)
      try test.sources.update(Documents.selector("s"), BSONDocument(json: #"{"$set": {"enabled": true}}"#))
      #expect(try watch.nextChange().kind == .upsert)
    }
  }

  @Test func aKeyChangeIsTwoNotices() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a", id: "x"))
      let server = try test.server()
      let client = try server.client()
      let watch = try Watch.open(server)
      try test.agents.replace(Documents.selector("x"), with: Documents.agent("b", id: "x"))
      let notices = try watch.nextChanges(2)
      #expect(Set(notices.map { "\($0.kind) \($0.key)" }) == ["delete a", "upsert b"])
      #expect(notices[0].revision == notices[1].revision)
      #expect(notices.allSatisfy { $0.itemID == "x" })
      #expect(try client.agent("a").code == .notFound)
      #expect(try client.agent("b").status == .ok)
    }
  }

  @Test func theNextOfSeveralShowsWhenTheWinnerGoes() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a", version: "1.0.0", description: "old"))
      try test.agents.insert(Documents.agent("a", version: "2.0.0", description: "new"))
      let server = try test.server()
      let client = try server.client()
      let watch = try Watch.open(server)
      #expect(try client.agent("a").content == "new")
      // The document that lost the key changes: the answer does not.
      try test.agents.update(Documents.selector("a:1.0.0"), Documents.set("description", "older"))
      try test.agents.delete(Documents.selector("a:2.0.0"))
      let notice = try watch.nextChange()
      #expect(notice.kind == .upsert && notice.itemID == "a:1.0.0" && notice.reason == "change_stream:delete")
      #expect(try client.agent("a").content == "older")
    }
  }

  @Test func stagedPromptsHaveNoticesOfTheirOwn() throws {
    try withDeployment { test in
      let server = try test.server()
      let client = try server.client()
      let watch = try Watch.open(server)
      try test.prompts.insert(Documents.prompt("a", promptID: "p", status: "staged", template: "next"))
      let staged = try watch.nextChange()
      #expect(staged.kind == .upsert && staged.entity == 2)
      #expect(staged.key == "a" && staged.cacheKey == "prompt:a:staged")
      #expect(staged.etag == (try client.prompt(.agentID("a"), .staged).etag))
      // A prompt is announced by each selector that finds it.
      #expect(try watch.nextChange().cacheKey == "prompt.prompt_id:p:staged")
      try test.prompts.insert(Documents.prompt("a", promptID: "p", version: "0.9.0", template: "now"))
      let active = try watch.nextChange()
      #expect(active.key == "a" && active.cacheKey == "prompt:a")
      #expect(try watch.nextChange().cacheKey == "prompt.prompt_id:p")

      // The staged prompt is promoted: there is none staged any more, and another one is active.
      try test.prompts.update(Documents.selector("p:1.0.0"), Documents.set("status", "active"))
      let notices = try watch.nextChanges(4)
      #expect(
        Set(notices.map { "\($0.kind) \($0.cacheKey)" }) == [
          "delete prompt:a:staged", "upsert prompt:a", "delete prompt.prompt_id:p:staged", "upsert prompt.prompt_id:p",
        ])
      #expect(try client.prompt(.agentID("a")).content == "next")
      #expect(try client.prompt(.agentID("a"), .staged).code == .notFound)
    }
  }

  @Test func whatChangesNoAnswerIsNoNotice() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      try test.agents.insert(Documents.agent("a", version: "2.0.0", status: "draft"))
      let server = try test.server()
      let client = try server.client()
      let before = try client.agent("a")
      let watch = try Watch.open(server)
      try test.agents.update(Documents.selector("a:1.0.0"), Documents.set("not_a_field", "x"))
      try test.agents.update(Documents.selector("a:2.0.0"), Documents.set("description", "a draft, edited"))
      try test.agents.insert(Documents.agent("b", status: "draft"))
      try test.agents.delete(Documents.selector("b:1.0.0"))
      try test.agents.insert(Documents.agent("fence"))
      #expect(try watch.changes(before: "fence").isEmpty)
      #expect(try client.agent("a").etag == before.etag)
    }
  }

  @Test func valuesComeWhereTheyAreAskedFor() throws {
    try withDeployment { test in
      let server = try test.server()
      let watch = try Watch.open(server, .init(includesValues: true))
      try test.agents.insert(Documents.agent("a", description: "of agent"))
      #expect(try watch.nextChange().content == "of agent")
      try test.prompts.insert(Documents.prompt("p", template: "of prompt"))
      for _ in 0..<2 { #expect(try watch.nextChange().content == "of prompt") }
      try test.sources.insert(Documents.source("s", description: "of source"))
      #expect(try watch.nextChange().content == "of source")
      try test.agents.delete(Documents.selector("a:1.0.0"))
      let deleted = try watch.nextChange()
      #expect(deleted.kind == .delete && deleted.content == nil)
    }
  }
}
