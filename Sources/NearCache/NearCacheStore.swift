internal import Core

/// What a ``NearCache`` keeps, whatever it is of: not generic, so that it is compiled for what it does. Any thread.
final class NearCacheStore: Sendable {
  struct Answer: Sendable {
    /// Nil: there is nothing under the key.
    let value: StoredValue?
    let isStale: Bool
  }

  typealias Fetch = @Sendable () async throws -> Fetched?

  /// What came of a fetch.
  struct Fetched: Sendable {
    let value: StoredValue
    /// Without what the cache itself takes.
    let byteCount: Int
  }

  enum Freshness: Int, Comparable {
    case fresh
    /// To be given, and to be fetched anew.
    case refresh
    /// Past its time: only where a fetch fails.
    case stale
    /// A fetch has just failed: to be given without another try.
    case spared

    static func < (left: Freshness, right: Freshness) -> Bool { left.rawValue < right.rawValue }
  }

  struct Entry: Sendable {
    /// Nil: there is nothing under the key.
    var value: StoredValue?
    /// When its fetch began, or when it was last used if that counts.
    var bornAt: UInt64
    /// In nanoseconds, as the rest.
    var timeToLive: UInt64
    var refreshAfter: UInt64
    /// A fetch that was to replace it failed then.
    var failedAt: UInt64?
  }

  struct State: Sendable {
    var table: SieveTable<Entry>
    var flights = FlightTable<Answer>()
    var statistics = NearCacheStatistics()
    /// All that was stored before is as good as if it had been fetched now.
    var confirmedAt: UInt64 = 0
    var jitter = Jitter()
  }

  let state: Locked<State>
  private let policies: [String: NearCachePolicy]
  private let defaultPolicy: NearCachePolicy
  private let clock: any Core.Clock
  /// Starts a fetch: as a task, of a test's own where one rules their order.
  let run: @Sendable (@escaping @Sendable () async -> Void) -> Task<Void, Never>

  init(
    maximumEntries: Int, maximumBytes: Int, policies: [String: NearCachePolicy], defaultPolicy: NearCachePolicy,
    clock: any Core.Clock, run: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Task<Void, Never>
  ) {
    self.run = run
    self.policies = policies
    self.defaultPolicy = defaultPolicy
    self.clock = clock
    state = Locked(State(table: SieveTable(maximumCount: maximumEntries, maximumBytes: maximumBytes)))
  }

  var now: UInt64 { clock.now.nanoseconds }

  // MARK: Reading

  /// Nil: not known, or not any more.
  func lookup(_ key: CacheKey) -> Answer? {
    let now = now
    let policy = policy(key)
    return state.withLock { state in
      guard let known = Self.find(key, policy, now, &state), known.freshness <= .refresh else {
        state.statistics.misses += 1
        return nil
      }
      state.statistics.hits += 1
      return Answer(value: known.value, isStale: false)
    }
  }

  /// The same, without a count of what is not known: who asks goes on to fetch it. Nil for what is to be refreshed,
  /// too.
  func known(_ key: CacheKey) -> Answer? {
    let now = now
    let policy = policy(key)
    return state.withLock { state in
      guard let known = Self.find(key, policy, now, &state), known.freshness == .fresh else { return nil }
      state.statistics.hits += 1
      return Answer(value: known.value, isStale: false)
    }
  }

  func holds(_ key: CacheKey) -> Bool {
    let (now, policy) = (now, policy(key))
    return state.withLock { Self.find(key, policy, now, &$0) != nil }
  }

  /// Nil for what is not there, or older than may be given at all.
  static func find(
    _ key: CacheKey, _ policy: NearCachePolicy, _ now: UInt64, _ state: inout State
  ) -> (value: StoredValue?, freshness: Freshness)? {
    let confirmedAt = state.confirmedAt
    return state.table.use(key) { entry -> (StoredValue?, Freshness)? in
      let age = now &- min(now, max(entry.bornAt, confirmedAt))
      if age < entry.timeToLive {
        if policy.isSliding { entry.bornAt = now }
        return (entry.value, age < entry.refreshAfter ? .fresh : .refresh)
      }
      guard age - entry.timeToLive < nanoseconds(policy.staleIfError) else { return nil }
      if let failedAt = entry.failedAt, now - min(now, failedAt) < nanoseconds(policy.errorPause) {
        return (entry.value, .spared)
      }
      return (entry.value, .stale)
    } ?? nil
  }

  // MARK: Writing

  func set(_ value: Fetched?, for key: CacheKey) {
    let now = now
    state.withLock { state in
      overtake(&state) { $0 == key }
      store(value, key, bornAt: now, &state)
    }
  }

  func replace(_ key: CacheKey, by value: Fetched) -> Bool {
    let now = now
    return state.withLock { state in
      overtake(&state) { $0 == key }
      guard state.table.change(key, { _ in }) != nil else { return false }
      store(value, key, bornAt: now, &state)
      return true
    }
  }

  func store(_ value: Fetched?, _ key: CacheKey, bornAt: UInt64, _ state: inout State) {
    let policy = policy(key)
    let spread = 1 + min(1, max(0, policy.jitter)) * state.jitter.next()
    let seconds = (value == nil ? policy.negativeTimeToLive : policy.timeToLive) * spread
    let entry = Entry(
      value: value?.value, bornAt: bornAt, timeToLive: nanoseconds(seconds),
      refreshAfter: policy.refreshAhead < 1 ? nanoseconds(seconds * policy.refreshAhead) : .max, failedAt: nil)
    let bytes = Self.overheadBytes + key.text.utf8.count + (value?.byteCount ?? 0)
    if !state.table.store(key, entry, byteCount: bytes) { state.statistics.tooLarge += 1 }
  }

  /// What an entry takes beside its value and its key, about.
  private static let overheadBytes = 200

  func touch(_ key: CacheKey) -> Bool {
    let now = now
    return state.withLock { $0.table.use(key) { $0.bornAt = now } != nil }
  }

  func confirm() {
    let now = now
    state.withLock { $0.confirmedAt = max($0.confirmedAt, now) }
  }

  // MARK: Dropping

  func invalidate(_ key: CacheKey, unless isStillGood: (StoredValue?) -> Bool) {
    state.withLock { state in
      overtake(&state) { $0 == key }
      guard state.table.change(key, { isStillGood($0.value) }) == false, state.table.remove(key) else { return }
      state.statistics.invalidations += 1
    }
  }

  func invalidate(prefix: String) {
    state.withLock { state in
      overtake(&state) { $0.hasPrefix(prefix) }
      state.statistics.invalidations += UInt64(state.table.removeAll { $0.hasPrefix(prefix) })
    }
  }

  func invalidate(where isMeant: (CacheKey) -> Bool, unless isStillGood: (StoredValue?) -> Bool) {
    state.withLock { state in
      overtake(&state, isMeant)
      for key in state.table.keys(where: isMeant) {
        guard state.table.change(key, { isStillGood($0.value) }) == false, state.table.remove(key) else { continue }
        state.statistics.invalidations += 1
      }
    }
  }

  func clear() {
    state.withLock { state in
      overtake(&state) { _ in true }
      state.statistics.invalidations += UInt64(state.table.count)
      state.table.removeAll()
    }
  }

  private func overtake(_ state: inout State, _ isWanted: (CacheKey) -> Bool) {
    state.statistics.fetchesOvertaken += UInt64(state.flights.overtake(isWanted))
  }

  var statistics: NearCacheStatistics {
    state.withLock { state in
      var statistics = state.statistics
      statistics.entries = state.table.count
      statistics.bytes = state.table.byteCount
      statistics.evictions = state.table.evictions
      return statistics
    }
  }

  func policy(_ key: CacheKey) -> NearCachePolicy {
    policies.isEmpty ? defaultPolicy : policies[String(key.entity)] ?? defaultPolicy
  }
}

/// Numbers in -1..<1 that differ enough to spread expiries (SplitMix64); the system's own cost a call each.
struct Jitter: Sendable {
  private var state = UInt64.random(in: 0...(.max))

  mutating func next() -> Double {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return Double(Int64(bitPattern: mixed ^ (mixed >> 31))) / 0x1p63
  }
}

/// A value of whatever type, as the store holds it.
class StoredValue: @unchecked Sendable {
  // Safe to share: what holds a value never changes it, and the value's type is Sendable.
  fileprivate init() {}
}

final class Stored<Value: Sendable>: StoredValue, @unchecked Sendable {
  // Safe to share: a constant of a Sendable type.
  let value: Value

  init(_ value: Value) {
    self.value = value
  }
}

func nanoseconds(_ seconds: Double) -> UInt64 {
  seconds > 0 ? UInt64(min(seconds, 1e9) * 1e9) : 0
}
