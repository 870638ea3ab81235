// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The content of a ``NearCache``. It is not generic over the value: the compiler would not specialize generic code for
/// the types of other modules. Any thread.
final class NearCacheStore: Sendable {
  struct Answer: Sendable {
    /// The value. Nil: there is none under the key.
    let value: StoredValue?
    let isStale: Bool
  }

  typealias Fetch = @Sendable () async throws -> Fetched?

  /// The value that a fetch returned.
  struct Fetched: Sendable {
    let value: StoredValue
    /// The size of the value, without the overhead of the cache.
    let byteCount: Int
  }

  enum Freshness: Int, Comparable {
    case fresh
    /// To be returned; a refresh in the background is due.
    case refresh
    /// The time to live has ended: to be returned only if a fetch fails.
    case stale
    /// A fetch failed a short time ago: to be returned without another attempt.
    case staleRetrySuppressed

    static func < (left: Freshness, right: Freshness) -> Bool { left.rawValue < right.rawValue }
  }

  struct Entry: Sendable {
    /// The value. Nil: there is none under the key.
    var value: StoredValue?
    /// When the fetch began, or the last use if the policy is sliding. In nanoseconds, as all times here.
    var bornAt: UInt64
    var timeToLive: UInt64
    var refreshAfter: UInt64
    /// When a fetch that was to replace the answer failed.
    var failedAt: UInt64?
  }

  struct State: Sendable {
    var table: SieveTable<Entry>
    var flights = FlightTable<Answer>()
    var statistics = NearCacheStatistics()
    /// When all cached answers were last confirmed: they count as fetched at that time.
    var confirmedAt: UInt64 = 0
    var jitter = Jitter()
  }

  let state: Locked<State>
  private let policies: [String: NearCachePolicy]
  private let defaultPolicy: NearCachePolicy
  private let clock: any TimeSource
  /// Starts a fetch as a task. Tests supply a function that controls the order of fetches.
  let run: @Sendable (@escaping @Sendable () async -> Void) -> Task<Void, Never>

  init(
    maximumEntries: Int, maximumBytes: Int, policies: [String: NearCachePolicy], defaultPolicy: NearCachePolicy,
    clock: any TimeSource, run: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Task<Void, Never>
  ) {
    self.run = run
    self.policies = policies
    self.defaultPolicy = defaultPolicy
    self.clock = clock
    state = Locked(State(table: SieveTable(maximumCount: maximumEntries, maximumBytes: maximumBytes)))
  }

  var now: UInt64 { clock.now.nanoseconds }

  // MARK: Reading

  /// Returns the answer of a key, and counts a hit or a miss. Nil if there is none, or if its time to live has ended.
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

  /// Returns the answer of a key if it is fresh, and counts a hit. Nil otherwise, also if a refresh is due; that is not
  /// counted as a miss, because the caller continues with a fetch.
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

  /// Finds the answer of a key. Nil if there is none, or if it is too old to be returned even as a stale one.
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
        return (entry.value, .staleRetrySuppressed)
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
    let timeToLive = Double(nanoseconds(value == nil ? policy.negativeTimeToLive : policy.timeToLive)) * spread
    let entry = Entry(
      value: value?.value, bornAt: bornAt, timeToLive: whole(timeToLive),
      refreshAfter: policy.refreshAhead < 1 ? whole(timeToLive * policy.refreshAhead) : .max, failedAt: nil)
    let bytes = Self.overheadBytes + key.text.utf8.count + (value?.byteCount ?? 0)
    if !state.table.store(key, entry, byteCount: bytes) { state.statistics.tooLarge += 1 }
  }

  /// The approximate overhead of an entry, beside its value and its key.
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

/// Pseudo-random numbers in -1..<1 (SplitMix64), which are good enough to spread expiries. The system's generator costs
/// a system call per number.
struct Jitter: Sendable {
  private var state = UInt64.random(in: 0...(.max))

  mutating func next() -> Double {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return Double(Int64(bitPattern: mixed ^ (mixed >> 31))) / 0x1p63
  }
}

/// A value with its type erased, as the store holds it.
class StoredValue: @unchecked Sendable {
  // Safe to share: subclasses never change their value, whose type is Sendable.
  fileprivate init() {}
}

final class Stored<Value: Sendable>: StoredValue, @unchecked Sendable {
  // Safe to share: it is a constant of a Sendable type.
  let value: Value

  init(_ value: Value) {
    self.value = value
  }
}

/// The store compares ages as numbers of nanoseconds, which costs less than `Duration`.
func nanoseconds(_ duration: Duration) -> UInt64 { UInt64(clamping: duration.nanoseconds) }

/// The number without its fraction; 0 if it is negative or NaN.
private func whole(_ number: Double) -> UInt64 { number > 0 ? UInt64(min(number, 0x1p63)) : 0 }
