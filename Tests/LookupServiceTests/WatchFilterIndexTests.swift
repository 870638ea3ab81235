// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// The index finds the same watches as a linear search, with a random seed.
struct WatchFilterIndexTests {
  private static let entities = ServedEntity.allCases

  private func session(_ filter: WatchFilter, _ harness: ServiceHarness) -> WatchSession {
    WatchSession(
      WatchOptions(filter: filter, progressInterval: .seconds(10), maximumQueuedKeys: 10),
      shard: harness.service.states[0].shard,
      hub: harness.hub, writer: TestStreamWriter(), report: LimitReport())
  }

  @Test func findsExactlyThoseThatWantAKey() throws {
    var random = SeededRandom.fresh("findsExactlyThoseThatWantAKey")
    let harness = ServiceHarness()
    defer { harness.stop() }
    var index = WatchFilterIndex()
    var open: [WatchSession] = []
    func word() -> String {
      String((0..<(1 + random.below(4))).map { _ in ["a", "b", "\u{e9}"][random.below(3)] }.joined())
    }
    for _ in 0..<600 {
      if open.count < 60, random.below(3) > 0 {
        let entity = Self.entities[random.below(3)]
        let names = Set(ServedSelector.all.filter { $0.entity == entity }.map(\.name)).sorted()
        let filter = watchFilter(
          entity, selectors: random.once(in: 2) ? nil : [names[random.below(names.count)]],
          keys: (0..<random.below(4)).map { _ in word() }, prefixes: (0..<random.below(4)).map { _ in word() })
        let session = session(filter, harness)
        let audience = index.audience(for: filter)
        audience.add(session)
        session.audience = audience
        open.append(session)
      } else if !open.isEmpty {
        let session = open.remove(at: random.below(open.count))
        let audience = try #require(session.audience)
        audience.remove(session)
        if audience.sessions.isEmpty { index.retire(audience) }
      }
      if random.once(in: 4) { _ = index.prune(random.below(5)) }
      let entity = Self.entities[random.below(3)]
      let key = LookupKey(word(), space: UInt8(random.below(entity.keySpaces.count)))
      var found: [WatchAudience] = []
      index.collect(entity, key, into: &found)
      let sessions = found.flatMap(\.sessions)
      let wanted = open.filter { $0.options.filter.includes(entity, key) }
      #expect(
        sessions.count == wanted.count && wanted.allSatisfy { one in sessions.contains { $0 === one } },
        "\(entity) \(key.text), seed \(random.seed)")
    }
    for session in open {
      session.audience?.remove(session)
      if let audience = session.audience, audience.sessions.isEmpty { index.retire(audience) }
    }
    while index.prune(100) {}
    #expect(index.itemCount == 0)
  }

  @Test func equalFiltersAreOne() {
    var index = WatchFilterIndex()
    let one = watchFilter(.prompt, keys: ["b", "a", "b"], prefixes: ["xy", "x"])
    let other = watchFilter(.prompt, keys: ["a", "b", "xyz"], prefixes: ["x"])
    #expect(index.audience(for: one) === index.audience(for: other))
    #expect(one.itemCount == 3, "what a prefix covers is left out")
    #expect(index.audience(for: watchFilter(.prompt, keys: ["a"])) !== index.audience(for: one))
    #expect(
      index.audience(for: watchFilter(.agentConfig, keys: ["a", "b"], prefixes: ["x"])) !== index.audience(for: one))
  }

  @Test func theTableGrowsAndShrinks() throws {
    var random = SeededRandom.fresh("theTableGrowsAndShrinks")
    var table = WatchItemTable()
    // The index of each item in the table, and its hash.
    var places: [Int?] = []
    var hashes: [UInt32] = []
    for round in 0..<20_000 {
      let grows = round < 10_000 ? random.below(3) > 0 : random.below(3) == 0
      if grows {
        let hash = UInt32(random.below(5000))
        places.append(table.insert(hash, audience: 0, item: UInt32(places.count)))
        hashes.append(hash)
      } else {
        let item = random.below(max(1, places.count))
        guard item < places.count, let place = places[item] else { continue }
        places[item] = nil
        if let moved = table.remove(at: place) { places[Int(moved.item)] = place }
      }
      guard round % 97 == 0, !hashes.isEmpty else { continue }
      let hash = hashes[random.below(hashes.count)]
      var found: Set<UInt32> = []
      table.forEach(hash) { found.insert($1) }
      let wanted = places.indices.filter { places[$0] != nil && hashes[$0] == hash }
      #expect(found == Set(wanted.map { UInt32($0) }), "seed \(random.seed)")
    }
    #expect(table.count == places.count { $0 != nil })
  }
}
