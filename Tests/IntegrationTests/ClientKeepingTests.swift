// SPDX-License-Identifier: Apache-2.0
internal import NearCache
internal import TestSupport
internal import Testing

@testable internal import ConfigLookupClient

/// The answers that a notice drops from the near cache, and those that it leaves there.
@Suite struct ClientKeepingTests {
  private func notice(
    _ entity: Entity, _ selector: String, _ cacheKey: String, key: String, revision: UInt64 = 10, etag: String = "new",
    kind: Notice.Kind = .upsert, reason: String = "change_stream:update"
  ) -> Notice {
    Notice(
      kind: kind, entity: entity, key: key, cacheKey: cacheKey, selector: selector, revision: revision, itemID: "",
      reason: reason, committedAt: nil, etag: etag, previousETag: "", epoch: "e")
  }

  @Test func aNoticeNamesTheKeyOfItsAnswer() {
    for (notice, key) in [
      (notice(.agentConfig, "agent_id", "agent_config:a", key: "a"), Keys.agentConfig("a")),
      (notice(.prompt, "agent_id", "prompt:a", key: "a"), Keys.prompt("a", .active)),
      (notice(.prompt, "agent_id", "prompt:a:staged", key: "a"), Keys.prompt("a", .staged)),
      (notice(.prompt, "agent_id", "prompt:a:staged", key: "a:staged"), Keys.prompt("a:staged", .active)),
      (notice(.prompt, "prompt_id", "prompt.prompt_id:p", key: "p"), Keys.promptByID("p", .active)),
      (notice(.prompt, "prompt_id", "prompt.prompt_id:p:staged", key: "p"), Keys.promptByID("p", .staged)),
      (notice(.sourceConfig, "source_id", "source_config:s", key: "s"), Keys.sourceConfig("s")),
      (notice(.sourceConfig, "container", "source_config.container:c", key: "c"), Keys.container("c")),
      (notice(.sourceConfig, "ai_agent_id", "source_config.ai_agent_id:a", key: "a"), Keys.aiAgent("a")),
      // A notice of a server that names no selectors.
      (notice(.prompt, "", "prompt:a:staged", key: "a"), Keys.prompt("a", .staged)),
    ] as [(Notice, CacheKey)] {
      #expect(Keys.noticed(notice) == key, "\(notice.cacheKey)")
    }
  }

  private func prompt(revision: UInt64, etag: String, observed: UInt64) -> CachedValue {
    CachedValue(
      content: .prompt(
        Answer(value: nil, revision: revision, etag: etag, observedRevision: observed, isStale: false)),
      revision: revision, byteCount: 1)
  }

  private func container(revision: UInt64, etag: String, observed: UInt64) -> CachedValue {
    CachedValue(
      content: .matchedSource(
        Answer(value: nil, revision: revision, etag: etag, observedRevision: observed, isStale: false)),
      revision: revision, byteCount: 1)
  }

  @Test func anAnswerIsKeptOnlyIfItHasTheChangeForCertain() {
    let update = notice(.prompt, "agent_id", "prompt:a", key: "a")
    #expect(!prompt(revision: 9, etag: "old", observed: 9).includes(update))
    #expect(prompt(revision: 11, etag: "newer", observed: 9).includes(update))
    #expect(prompt(revision: 10, etag: "new", observed: 9).includes(update))
    // The second change of one transaction.
    #expect(!prompt(revision: 10, etag: "first", observed: 9).includes(update))
    #expect(prompt(revision: 9, etag: "old", observed: 10).includes(update), "the change was undone, or is another's")
    let delete = notice(.prompt, "agent_id", "prompt:a", key: "a", etag: "", kind: .delete)
    #expect(!prompt(revision: 10, etag: "", observed: 9).includes(delete))
    // A change that the stream did not deliver was not in answers that had observed its revision.
    let drift = notice(.prompt, "agent_id", "prompt:a", key: "a", reason: "ttl_reload")
    #expect(!prompt(revision: 9, etag: "old", observed: 12).includes(drift))
    // A container's value can be equal although another of its sources has changed.
    let member = notice(.sourceConfig, "container", "source_config.container:c", key: "c", etag: "same")
    #expect(!container(revision: 10, etag: "same", observed: 9).includes(member))
    #expect(container(revision: 10, etag: "same", observed: 10).includes(member))
    #expect(container(revision: 11, etag: "same", observed: 9).includes(member))
  }

  @Test func aPolicyOfAnEntityIsForAllItsAnswers() {
    let policies = Keys.policies([
      "prompt": NearCachePolicy(timeToLive: .seconds(7)), "source_config.blob": NearCachePolicy(),
    ])
    for key in [Keys.promptByID("p", .staged), Keys.list(.prompt, "", 1, nil, generation: 3)] {
      #expect(policies[String(key.entity)]?.timeToLive == .seconds(7), "\(key)")
    }
    #expect(policies[String(Keys.container("c").entity)] == nil)
  }
}
