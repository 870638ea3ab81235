// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import TestSupport
import Testing

@testable import NearCache

/// Invalidations that race fetches, in every order that a seed can produce. Tasks run one step at a time on the test's
/// thread, and the values change between any two steps, and within steps that read the clock.
@Suite struct RaceSimulationTests {
  @Test func aStaleValueIsNeverKept() {
    let first = SeededRandom.fresh("aStaleValueIsNeverKept").seed
    var fetches: UInt64 = 0
    var overtaken: UInt64 = 0
    for seed in 0..<2000 as Range<UInt64> {
      let race = Race(seed: first &+ seed)
      let cache = NearCache<Int>(
        NearCacheOptions(
          maximumEntries: 4,
          defaultPolicy: NearCachePolicy(
            timeToLive: .seconds(10), jitter: 0.1, refreshAhead: 0.5, staleIfError: .seconds(100),
            errorPause: .seconds(2))),
        clock: race.clock, run: { [executor = race.executor] in Task(executorPreference: executor, operation: $0) })
      race.run(cache)
      guard race.problems.isEmpty else {
        Issue.record("CONFIG_LOOKUP_SEED=\(first &+ seed): \(race.problems)")
        return
      }
      fetches += cache.statistics.fetches
      overtaken += cache.statistics.fetchesOvertaken
    }
    #expect(overtaken > fetches / 20, "\(overtaken) of \(fetches): it is a race")
  }

  /// The same simulation with a naive cache, which must fail it.
  @Test func aCacheThatStoresWhateverItFetchedIsFoundOut() {
    let found = (0..<100 as Range<UInt64>).first { seed in
      let race = Race(seed: seed)
      race.run(NaiveCache())
      return !race.problems.isEmpty
    }
    #expect(found != nil)
  }
}

/// The functions of a cache that the race uses.
private protocol RacedCache: Sendable {
  nonisolated(nonsending) func getOrFetch(
    _ key: CacheKey, _ fetch: @escaping @Sendable () async throws -> Int?
  ) async throws -> Int?
  func value(for key: CacheKey) -> Int?
  func set(_ value: Int?, for key: CacheKey)
  func invalidate(_ key: CacheKey)
  func invalidate(prefix: String)
  func clear()
  func confirm()
}

extension NearCache<Int>: RacedCache {}

private final class NaiveCache: RacedCache, @unchecked Sendable {
  // Safe to share: the race has one thread.
  private var values: [CacheKey: Int] = [:]

  nonisolated(nonsending) func getOrFetch(
    _ key: CacheKey, _ fetch: @escaping @Sendable () async throws -> Int?
  ) async throws -> Int? {
    if let known = values[key] { return known }
    let value = try await fetch()
    values[key] = value
    return value
  }

  func value(for key: CacheKey) -> Int? { values[key] }
  func set(_ value: Int?, for key: CacheKey) { values[key] = value }
  func invalidate(_ key: CacheKey) { values[key] = nil }
  func invalidate(prefix: String) { values = values.filter { !$0.key.hasPrefix(prefix) } }
  func clear() { values = [:] }
  func confirm() {}
}

/// Readers, writers, a clock and the true values. The true value of a key is the number of its last change.
private final class Race: @unchecked Sendable {
  // Safe to share: everything happens on the thread of the test.
  private struct Failure: Error {}

  let executor = SeededExecutor()
  let clock = RaceClock()
  private(set) var problems: [String] = []
  private var random: SeededRandom
  private var truth = [0, 0, 0]
  /// By key: a reader that begins now must not get a lower value.
  private var floors = [0, 0, 0]
  private var lastChange = 0
  private var tasks: [Task<Void, Never>] = []
  private var finished = 0

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
  }

  func run(_ cache: some RacedCache) {
    clock.onLook = { [unowned self] in if random.once(in: 3) { changeAtOnce(cache) } }
    for _ in 0..<40 {
      switch random.below(10) {
      case 0...3: ask(cache)
      case 4: write(cache)
      case 5: changeAtOnce(cache)
      case 6: clock.advance(by: .seconds(random.below(8)))
      case 7: if !tasks.isEmpty, random.once(in: 2) { tasks[random.below(tasks.count)].cancel() }
      default: break
      }
      for _ in 0..<random.below(4) { step(cache) }
    }
    while step(cache) {}
    if finished != tasks.count { problems.append("\(tasks.count - finished) wait for ever") }
    clock.onLook = nil
  }

  @discardableResult
  private func step(_ cache: some RacedCache) -> Bool {
    let isGoing = executor.step { random.below($0) }
    clock.withoutLooks {
      for number in truth.indices {
        guard let kept = cache.value(for: Self.key(number)), kept < floors[number] else { continue }
        problems.append("\(kept) is kept for \(number), and was \(floors[number])")
      }
    }
    return isGoing
  }

  private static func key(_ number: Int) -> CacheKey { CacheKey(entity: "e", identifier: "\(number)") }

  private func start(_ body: @escaping @Sendable () async -> Void) {
    tasks.append(
      Task(executorPreference: executor) {
        await body()
        self.finished += 1
      })
  }

  private func ask(_ cache: some RacedCache) {
    let number = random.below(truth.count)
    start {
      let floor = self.floors[number]
      let value = try? await cache.getOrFetch(Self.key(number)) { try await self.fetch(number) }
      // The fetch failed, or was cancelled.
      guard let value else { return }
      if value < floor { self.problems.append("told \(value) of \(number), which had been \(floor)") }
    }
  }

  private func fetch(_ number: Int) async throws -> Int {
    for _ in 0..<random.below(3) { await Task.yield() }
    let value = truth[number]
    for _ in 0..<random.below(4) { await Task.yield() }
    if random.once(in: 6) { throw Failure() }
    return value
  }

  /// The value changes some time before the cache is invalidated.
  private func write(_ cache: some RacedCache) {
    let number = random.below(truth.count)
    start {
      let change = self.change(number)
      for _ in 0..<self.random.below(3) { await Task.yield() }
      self.invalidate(number, cache)
      self.floors[number] = max(self.floors[number], change)
    }
  }

  private func changeAtOnce(_ cache: some RacedCache) {
    clock.withoutLooks {
      let number = random.below(truth.count)
      if random.once(in: 4) { return cache.confirm() }
      let change = change(number)
      if random.once(in: 4) { cache.set(change, for: Self.key(number)) } else { invalidate(number, cache) }
      floors[number] = change
    }
  }

  private func change(_ number: Int) -> Int {
    lastChange += 1
    truth[number] = lastChange
    return lastChange
  }

  private func invalidate(_ number: Int, _ cache: some RacedCache) {
    switch random.below(6) {
    case 0: cache.clear()
    case 1: cache.invalidate(prefix: "e:\(number)")
    default: cache.invalidate(Self.key(number))
    }
  }
}

/// Runs the steps of tasks at the times and in the order that the race chooses.
private final class SeededExecutor: TaskExecutor {
  private let jobs = Locked<[UnownedJob]>([])

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
  }

  /// Runs a step; returns false if no task can run. `choose` selects one of that many tasks.
  func step(_ choose: (Int) -> Int) -> Bool {
    let job = jobs.withLock { $0.isEmpty ? nil : $0.remove(at: choose($0.count)) }
    job?.runSynchronously(on: asUnownedTaskExecutor())
    return job != nil
  }
}

/// A clock whose reading may trigger a change.
private final class RaceClock: TimeSource, @unchecked Sendable {
  // Safe to share: the race has one thread.
  private let clock = ManualClock()
  private var isQuiet = false
  var onLook: (() -> Void)?

  var now: MonotonicTime {
    if !isQuiet { onLook?() }
    return clock.now
  }

  var wallNow: WallTime { clock.wallNow }

  func advance(by duration: Duration) { clock.advance(by: duration) }

  func withoutLooks(_ body: () -> Void) {
    let before = isQuiet
    isQuiet = true
    body()
    isQuiet = before
  }
}
