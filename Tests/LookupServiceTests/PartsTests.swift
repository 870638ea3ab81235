// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

struct WatchFilterTests {
  @Test(
    arguments: [
      ([], [], "anything", true), (["a"], [], "a", true), (["a"], [], "ab", false), (["a"], [], "b", false),
      ([], ["a"], "a", true), ([], ["a"], "ab", true), ([], ["ab"], "a", false), ([], ["a"], "ba", false),
      (["x"], ["a", "b"], "bc", true), (["x"], ["a", "b"], "x", true), (["x"], ["a", "b"], "xa", false),
      (["caf\u{e9}"], [], "cafe\u{301}", false),
    ] as [([String], [String], String, Bool)])
  func keysAndPrefixes(keys: [String], prefixes: [String], key: String, wanted: Bool) {
    let filter = watchFilter(.prompt, keys: keys, prefixes: prefixes)
    #expect(filter.includes(.prompt, LookupKey(key)) == wanted)
    #expect(filter.includes(.prompt, LookupKey(key, space: 1)) == wanted, "a staged prompt has the same key")
    #expect(!filter.includes(.agentConfig, LookupKey(key)))
  }
}

/// Makes a filter of all selectors of an entity.
func watchFilter(
  _ entity: ServedEntity, selectors: [String]? = nil, keys: [String] = [], prefixes: [String] = []
) -> WatchFilter {
  let items = (keys + prefixes).map { Array($0.utf8) }
  let memory = items.map { item in
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: item.count, alignment: 1)
    room.copyBytes(from: item)
    return room
  }
  defer { for room in memory { room.deallocate() } }
  let lent = memory.map { UnsafeRawBufferPointer($0) }
  return WatchFilter(
    selectors: SelectorSet(
      ServedSelector.all.filter { $0.entity == entity && selectors?.contains($0.name) ?? true }),
    keys: Array(lent[..<keys.count]), prefixes: Array(lent[keys.count...]))
}

struct EpochTests {
  private func epoch(_ identities: [String], salt: String) throws -> String {
    let harness = ServiceHarness(salt: salt)
    defer { harness.stop() }
    for (source, identity) in zip(harness.sources, identities) { source.setIdentity(identity) }
    for entity in ServedEntity.allCases { harness.start(entity) }
    try poll("the service is warm") { harness.service.isWarm }
    return harness.service.epoch.current
  }

  @Test func sameForEqualIdentitiesAndNoOthers() throws {
    let one = try epoch(["a", "b", "c"], salt: "")
    #expect(one.count == 16)
    #expect(one.allSatisfy { $0.isHexDigit && !$0.isUppercase })
    #expect(try epoch(["a", "b", "c"], salt: "") == one)
    #expect(try epoch(["a", "b", "c"], salt: "1") != one)
    #expect(try epoch(["a", "b", "d"], salt: "") != one)
    #expect(try epoch(["b", "a", "c"], salt: "") != one)
  }

  @Test func changesWithTheDatabaseEverywhereAtOnce() throws {
    try ServiceHarness.run(agents: [agent("a")]) { harness throws in
      let before = try harness.call("GetAgentConfig", getAgentConfig("a")).lookup.text(8)
      harness[.prompt].setIdentity("another")
      harness[.prompt].disconnect(forgettingHistory: true)
      try poll("the epoch changes") { harness.service.epoch.current != before }
      let after = harness.service.epoch.current
      #expect(try harness.call("GetAgentConfig", getAgentConfig("a")).lookup.text(8) == after)
      #expect(try harness.call("GetCacheStatus").message.text(4) == after)
      #expect(try harness.call("GetAgentConfig", getAgentConfig("b")).metadata["configlookup-epoch"] == after)
    }
  }
}
