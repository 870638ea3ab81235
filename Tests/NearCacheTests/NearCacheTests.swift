// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import TestSupport
import Testing

@testable import NearCache

private func makeCache(
  entries: Int = 100, bytes: Int = 1_000_000, clock: ManualClock = ManualClock(),
  _ policy: NearCachePolicy = NearCachePolicy(
    timeToLive: .seconds(100), negativeTimeToLive: .seconds(10), jitter: 0, staleIfError: .seconds(1000))
) -> NearCache<String> {
  NearCache(
    NearCacheOptions(
      maximumEntries: entries, maximumBytes: bytes, defaultPolicy: policy, byteCount: { $0.utf8.count }),
    clock: clock)
}

private func key(_ name: String) -> CacheKey { CacheKey(entity: "prompt", identifier: name) }

private struct Gone: Error {}

struct CacheKeyTests {
  @Test func theTextIsThatOfNotices() {
    let staged = CacheKey(entity: "prompt", identifier: "a", variant: "staged")
    #expect(staged.text == "prompt:a:staged" && staged.variant == "staged" && staged.identifier == "a")
    #expect(key("a").text == "prompt:a" && key("a").variant == nil && key("a").entity == "prompt")
  }

  @Test func aColonInAnIdentifierIsNoVariant() {
    let (one, other) = (key("a:staged"), CacheKey(entity: "prompt", identifier: "a", variant: "staged"))
    #expect(one.text == other.text && one != other)
    #expect(key("ключ:1").identifier == "ключ:1")
  }
}

struct NearCacheTests {
  @Test func everyVariantOfAnIdentifierIsDropped() async throws {
    let cache = NearCache<Int>()
    func key(_ identifier: String, _ variant: String, entity: String = "blob") -> CacheKey {
      CacheKey(entity: entity, identifier: identifier, variant: variant)
    }
    let dropped = [key("c", "x"), key("c", "y:z")]
    // The texts of the first two keys have the same prefix as those of identifier `c`.
    let left = [key("c:y", "z"), key("c:x", ""), key("d", "x"), key("c", "x", entity: "other"), key("c", "good")]
    for (number, key) in (dropped + left).enumerated() { cache.set(number, for: key) }
    cache.invalidate(entity: "blob", identifier: "c", unless: { $0 == 6 })
    #expect(dropped.allSatisfy { cache.value(for: $0) == nil })
    #expect(left.allSatisfy { cache.value(for: $0) != nil })
    // A fetch that is in progress is not stored.
    let value = try await cache.getOrFetch(key("c", "x")) {
      cache.invalidate(entity: "blob", identifier: "c")
      return 9
    }
    #expect(value == 9 && cache.value(for: key("c", "x")) == nil)
  }

  @Test func whatIsStoredIsFoundForItsTime() {
    let clock = ManualClock()
    let cache = makeCache(clock: clock)
    #expect(cache.value(for: key("a")) == nil)
    cache.set("1", for: key("a"))
    cache.set(nil, for: key("b"))
    guard case .absent = cache.lookup(key("b")) else { return #expect(Bool(false), "absence is an answer") }
    clock.advance(by: .seconds(10))
    guard case .miss = cache.lookup(key("b")) else { return #expect(Bool(false), "absence has a time of its own") }
    clock.advance(by: .seconds(89))
    #expect(cache.value(for: key("a")) == "1")
    clock.advance(by: .seconds(1))
    #expect(cache.value(for: key("a")) == nil)
    let statistics = cache.statistics
    #expect(statistics.hits == 2 && statistics.misses == 3 && statistics.hitRate == 0.4)
  }

  @Test func eachKindHasItsPolicyAndTimesDiffer() {
    let clock = ManualClock()
    let cache = NearCache<Int>(
      NearCacheOptions(
        maximumEntries: 1000, policies: ["prompt": NearCachePolicy(timeToLive: .seconds(10), jitter: 0)],
        defaultPolicy: NearCachePolicy(timeToLive: .seconds(100), jitter: 0.5)), clock: clock)
    cache.set(1, for: key("a"))
    for number in 0..<500 { cache.set(number, for: CacheKey(entity: "agent", identifier: "\(number)")) }
    func found() -> Int {
      (0..<500).count { cache.value(for: CacheKey(entity: "agent", identifier: "\($0)")) != nil }
    }
    clock.advance(by: .seconds(49))
    #expect(cache.value(for: key("a")) == nil && found() == 500)
    clock.advance(by: .seconds(51))
    let half = found()
    #expect(half > 100 && half < 400)
    clock.advance(by: .seconds(51))
    #expect(found() == 0)
  }

  @Test func touchingAndConfirmingMakeYoung() {
    let clock = ManualClock()
    let cache = makeCache(clock: clock)
    cache.set("1", for: key("a"))
    cache.set("2", for: key("b"))
    clock.advance(by: .seconds(60))
    #expect(cache.touch(key("a")) && !cache.touch(key("c")))
    clock.advance(by: .seconds(60))
    #expect(cache.value(for: key("a")) == "1" && cache.value(for: key("b")) == nil)
    // The expired answer is still stored as a stale one: a source that notifies of every change can confirm it.
    cache.confirm()
    #expect(cache.value(for: key("b")) == "2")

    let sliding = makeCache(clock: clock, NearCachePolicy(timeToLive: .seconds(100), jitter: 0, isSliding: true))
    sliding.set("1", for: key("a"))
    for _ in 0..<5 {
      clock.advance(by: .seconds(60))
      #expect(sliding.value(for: key("a")) == "1")
    }
    clock.advance(by: .seconds(100))
    #expect(sliding.value(for: key("a")) == nil)
  }

  @Test func droppingByKeyByPrefixByAgeAndAll() {
    let cache = makeCache()
    for name in ["a", "ab", "b"] { cache.set(name, for: key(name)) }
    cache.set("x", for: CacheKey(entity: "agent", identifier: "a"))
    cache.invalidate(key("b"))
    cache.invalidate(key("b"))
    #expect(cache.value(for: key("b")) == nil && cache.statistics.invalidations == 1)
    cache.invalidate(key("a"), unless: { $0 == "a" })
    #expect(cache.value(for: key("a")) == "a")
    cache.invalidate(key("a"), unless: { $0 == "b" })
    #expect(cache.value(for: key("a")) == nil)
    cache.invalidate(prefix: "prompt:a")
    #expect(cache.value(for: key("ab")) == nil && cache.statistics.entries == 1)
    cache.clear()
    let statistics = cache.statistics
    #expect(statistics.entries == 0 && statistics.bytes == 0 && statistics.invalidations == 4)
  }

  @Test func entriesAndBytesAreBounded() {
    let few = makeCache(entries: 3)
    for name in ["a", "b", "c"] { few.set(name, for: key(name)) }
    // The entry that was used stays; of the others the oldest is evicted.
    #expect(few.value(for: key("a")) != nil)
    few.set("d", for: key("d"))
    #expect(few.value(for: key("b")) == nil && few.value(for: key("a")) != nil && few.value(for: key("d")) != nil)
    #expect(few.statistics.entries == 3 && few.statistics.evictions == 1)

    let small = makeCache(bytes: 2100)
    for number in 0..<100 { small.set(String(repeating: "x", count: 300), for: key("\(number)")) }
    #expect(small.statistics.entries == 4 && small.statistics.bytes <= 2100)
    small.set(String(repeating: "x", count: 3000), for: key("99"))
    #expect(small.value(for: key("99")) == nil && small.statistics.tooLarge == 1 && small.statistics.entries == 3)
    small.set(String(repeating: "x", count: 1500), for: key("98"))
    #expect(small.value(for: key("98"))?.count == 1500 && small.statistics.bytes <= 2100)
  }

  /// Compares the table with a dictionary: it returns the value that was stored last, and its order stays intact.
  @Test func theTableAgreesWithADictionary() {
    var random = SeededRandom.fresh("theTableAgreesWithADictionary")
    for capacity in [1, 2, 7, 50] {
      var table = SieveTable<Int>(maximumCount: capacity, maximumBytes: 400)
      var model: [CacheKey: (value: Int, bytes: Int)] = [:]
      for step in 0..<3000 {
        let key = key("\(random.below(60))")
        switch random.below(6) {
        case 0: #expect(table.remove(key) == (model.removeValue(forKey: key) != nil))
        case 1...3:
          let bytes = 1 + random.below(step % 100 == 0 ? 500 : 40)
          #expect(table.store(key, step, byteCount: bytes) == (bytes <= 400))
          model[key] = bytes <= 400 ? (step, bytes) : nil
        default: #expect(table.use(key) { $0 } == model[key]?.value)
        }
        // Evicted keys can be found only by a lookup.
        for key in model.keys where table.change(key, { $0 }) == nil { model[key] = nil }
        #expect(table.count == model.count && table.count <= capacity && table.byteCount <= 400)
        #expect(table.byteCount == model.values.reduce(0) { $0 + $1.bytes })
      }
    }
  }
}

struct NearCacheFetchTests {
  @Test func whatWasFetchedIsKept() async throws {
    let cache = makeCache()
    let count = Locked(0)
    for _ in 0..<3 {
      let value = try await cache.getOrFetch(key("a")) {
        count.withLock { $0 += 1 }
        return "1"
      }
      #expect(value == "1")
    }
    #expect(count.withLock { $0 } == 1)
    await #expect(throws: Gone.self) { try await cache.getOrFetch(key("b")) { throw Gone() } }
    let absent = try await cache.getOrFetch(key("b")) { nil }
    let still = try await cache.getOrFetch(key("b")) { "2" }
    #expect(absent == nil && still == nil)
  }

  @Test func aThousandWhoAskAtOnceAreOneFetch() async throws {
    let cache = makeCache()
    let gate = Gate()
    let count = Locked(0)
    try await withThrowingTaskGroup(of: String?.self) { group in
      for _ in 0..<1000 {
        group.addTask {
          try await cache.getOrFetch(key("a")) {
            count.withLock { $0 += 1 }
            await gate.pass()
            return "1"
          }
        }
      }
      while cache.statistics.misses < 1000 { await Task.yield() }
      gate.open()
      for try await value in group { #expect(value == "1") }
    }
    #expect(count.withLock { $0 } == 1 && cache.statistics.fetchesSaved == 999 && cache.statistics.fetches == 1)
  }

  @Test(arguments: ["invalidate", "prefix", "clear", "set", "unless"])
  func aFetchThatWasOvertakenIsNotKept(way: String) async throws {
    let cache = makeCache()
    let gate = Gate()
    async let old = cache.getOrFetch(key("a")) {
      await gate.pass()
      return "old"
    }
    while cache.statistics.fetches == 0 { await Task.yield() }
    switch way {
    case "invalidate": cache.invalidate(key("a"))
    case "unless": cache.invalidate(key("a")) { _ in true }
    case "prefix": cache.invalidate(prefix: "prompt:")
    case "clear": cache.clear()
    default: cache.set("new", for: key("a"))
    }
    // A caller that asks now does not wait for the old fetch.
    let new = try await cache.getOrFetch(key("a")) { "new" }
    #expect(new == "new")
    gate.open()
    #expect(try await old == "old")
    #expect(cache.value(for: key("a")) == "new" && cache.statistics.fetchesOvertaken == 1)
  }

  @Test func aFailureIsStoodInForByWhatWasKnown() async throws {
    let clock = ManualClock()
    let cache = makeCache(clock: clock)
    let tries = Locked(0)
    @Sendable func fail() throws -> String? {
      tries.withLock { $0 += 1 }
      throw Gone()
    }
    cache.set("1", for: key("a"))
    clock.advance(by: .seconds(100))
    var answer = try await cache.answer(for: key("a")) { try fail() }
    #expect(answer.value == "1" && answer.isStale)
    // The fetch is not attempted again within the error pause.
    answer = try await cache.answer(for: key("a")) { try fail() }
    #expect(answer.isStale && tries.withLock { $0 } == 1)
    clock.advance(by: .seconds(1))
    answer = try await cache.answer(for: key("a")) { try fail() }
    #expect(answer.isStale && tries.withLock { $0 } == 2 && cache.statistics.staleServed == 3)
    clock.advance(by: .seconds(1))
    answer = try await cache.answer(for: key("a")) { "2" }
    #expect(answer.value == "2" && !answer.isStale)
    clock.advance(by: .seconds(1100))
    await #expect(throws: Gone.self) { try await cache.getOrFetch(key("a")) { try fail() } }
    // An answer that was invalidated is known to be wrong.
    cache.set("3", for: key("a"))
    cache.invalidate(key("a"))
    await #expect(throws: Gone.self) { try await cache.getOrFetch(key("a")) { try fail() } }
  }

  @Test func aRefreshAheadKeepsNobodyWaiting() async throws {
    let clock = ManualClock()
    let cache = makeCache(clock: clock, NearCachePolicy(timeToLive: .seconds(100), jitter: 0, refreshAhead: 0.5))
    cache.set("1", for: key("a"))
    clock.advance(by: .seconds(50))
    let gate = Gate()
    for _ in 0..<2 {
      let value = try await cache.getOrFetch(key("a")) {
        await gate.pass()
        return "2"
      }
      #expect(value == "1")
    }
    #expect(cache.statistics.refreshes == 1)
    gate.open()
    while cache.value(for: key("a")) != "2" { await Task.yield() }
  }

  @Test func whoIsCancelledStopsWaiting() async throws {
    let cache = makeCache()
    let gate = Gate()
    let wasCancelled = Locked(false)
    @Sendable func ask() -> Task<String?, any Error> {
      Task {
        try await cache.getOrFetch(key("a")) {
          await gate.pass()
          if Task.isCancelled { wasCancelled.withLock { $0 = true } }
          return "1"
        }
      }
    }
    let (one, other) = (ask(), ask())
    while cache.statistics.misses < 2 { await Task.yield() }
    one.cancel()
    await #expect(throws: CancellationError.self) { try await one.value }
    // The other caller goes on waiting until it is cancelled, too; then no caller is left.
    other.cancel()
    await #expect(throws: CancellationError.self) { try await other.value }
    gate.open()
    while !wasCancelled.withLock({ $0 }) { await Task.yield() }
    #expect(cache.value(for: key("a")) == nil)
    let task = Task { try await cache.getOrFetch(key("a")) { "2" } }
    #expect(try await task.value == "2")
  }

  @Test func anyFunctionCanBeWrapped() async throws {
    let count = Locked(0)
    let twice = cached(prefix: "twice", timeToLive: .seconds(100), key: { (number: Int) in "\(number)" }) { number in
      count.withLock { $0 += 1 }
      return number * 2
    }
    for _ in 0..<3 {
      let (one, other) = (try await twice(21), try await twice(1))
      #expect(one == 42 && other == 2)
    }
    #expect(count.withLock { $0 } == 2)
  }

  /// A writer changes the value and then invalidates it, while readers run at full speed: after an invalidation has
  /// returned, no reader gets a value from before it.
  @Test func anInvalidationRacesFetches() async throws {
    let cache = NearCache<Int>(NearCacheOptions(maximumEntries: 4))
    let truth = Locked([0, 0, 0, 0, 0, 0])
    let floors = Locked([0, 0, 0, 0, 0, 0])
    let isOver = Locked(false)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for reader in 0..<4 {
        group.addTask {
          var random = SeededRandom(seed: UInt64(reader))
          while !isOver.withLock({ $0 }) {
            let number = random.below(6)
            let floor = floors.withLock { $0[number] }
            let value = try await cache.getOrFetch(key("\(number)")) {
              let value = truth.withLock { $0[number] }
              await Task.yield()
              return value
            }
            #expect((value ?? -1) >= floor)
          }
        }
      }
      group.addTask {
        var random = SeededRandom(seed: 9)
        for step in 1...5000 {
          let number = random.below(6)
          truth.withLock { $0[number] = step }
          if random.once(in: 3) {
            cache.invalidate(prefix: "prompt:\(number)")
          } else {
            cache.invalidate(key("\(number)"))
          }
          floors.withLock { $0[number] = step }
          if random.once(in: 4) { await Task.yield() }
        }
        isOver.withLock { $0 = true }
      }
      try await group.waitForAll()
    }
  }
}

/// Suspends tasks until it is opened.
private final class Gate: Sendable {
  private let state = Locked<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

  func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
