// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache
@testable internal import LookupService

/// Notices of every selector, and watches of some selectors.
struct WatchSelectorTests {
  private func invalidation(_ key: LookupKey, _ revision: Revision) -> Invalidation {
    Invalidation(
      kind: .delete, key: key, revision: revision, committedAt: WallTime(milliseconds: 0),
      reason: .changeStream("delete"), itemID: "x", answer: nil, previousETag: nil, sequence: 1)
  }

  /// Publishes one change of every key space, as a cache does.
  private func publishAll(_ harness: ServiceHarness) {
    for entity in ServedEntity.allCases {
      let spaces = entity.keySpaces.indices.filter { entity.keySpaces[$0].selector != nil }
      harness.hub.publish(
        entity,
        spaces.map { invalidation(LookupKey("x", space: UInt8($0)), Revision(harness[entity].now.rawValue + 1)) })
    }
    harness.worker.run()
  }

  private static let all = [
    "delete agent_config:x", "delete prompt:x", "delete prompt:x:staged", "delete prompt.prompt_id:x",
    "delete prompt.prompt_id:x:staged", "delete source_config:x", "delete source_config.container:x",
    "delete source_config.ai_agent_id:x",
  ]

  @Test func aNoticeNamesItsSelector() throws {
    try ServiceHarness.run { harness in
      let writer = TestStreamWriter()
      _ = try harness.watch(WireMessage(), writer)
      publishAll(harness)
      #expect(writer.shorts == ["progress"] + Self.all)
      #expect(
        writer.notices.map(\.selector) == [
          "", "agent_id", "agent_id", "agent_id", "prompt_id", "prompt_id", "source_id", "container", "ai_agent_id",
        ])
    }
  }

  @Test(
    arguments: [
      (["prompt_id"], [], [3, 4]), (["agent_id"], [], [0, 1, 2]), (["container", "ai_agent_id"], [], [6, 7]),
      (["agent_id"], [2], [1, 2]), (["agent_id", "source_id"], [1, 3], [0, 5]), ([], [3], [5, 6, 7]),
    ] as [([String], [UInt64], [Int])])
  func aWatchOfSomeSelectors(selectors: [String], entities: [UInt64], wanted: [Int]) throws {
    try ServiceHarness.run { harness in
      var request = WireMessage()
      for entity in entities { request = request.with(1, entity) }
      for selector in selectors { request = request.with(9, selector) }
      let (live, keyed, replayed) = (TestStreamWriter(), TestStreamWriter(), TestStreamWriter())
      _ = try harness.watch(request, live)
      _ = try harness.watch(request.with(2, "x").with(3, "y"), keyed)
      let start = ServedEntity.allCases.map { harness[$0].now.rawValue }.max() ?? 0
      publishAll(harness)
      let notices = wanted.map { Self.all[$0] }
      #expect(live.shorts == ["progress"] + notices)
      #expect(keyed.shorts == ["progress"] + notices)
      _ = try harness.watch(request.with(4, start + 1), replayed)
      #expect(replayed.shorts == ["progress"] + notices + ["progress"])
    }
  }

  @Test func aSelectorThatNoEntityHasIsRefusedByName() throws {
    try ServiceHarness.run { harness in
      func problem(_ request: WireMessage) -> String {
        do {
          _ = try harness.watch(request, TestStreamWriter())
          return "none"
        } catch {
          return "\(error)"
        }
      }
      #expect(
        problem(WireMessage().with(9, "agent_id").with(9, "nothing"))
          == "INVALID_ARGUMENT: selectors.1: \"nothing\" is not a selector of the requested entities; use one of "
          + "agent_id, prompt_id, source_id, container, ai_agent_id")
      #expect(
        problem(WireMessage().with(1, 2).with(9, "container"))
          == "INVALID_ARGUMENT: selectors.0: \"container\" is not a selector of the requested entities; use one of "
          + "agent_id, prompt_id")
      #expect(problem(WireMessage().with(9, "")).contains("selectors.0: \"\" is not a selector"))
    }
  }
}
