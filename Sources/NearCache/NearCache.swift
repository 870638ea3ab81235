package import Core

/// Answers of a service, kept near who asks, for a time, or for as long as somebody confirms them.
///
/// Any thread. A hit takes one short lock and no call of the system but for the clock. A value is never kept that was
/// fetched before its key was invalidated: see ``getOrFetch(_:_:)``.
public final class NearCache<Value: Sendable>: Sendable {
  /// What memory says of a key.
  public enum Lookup: Sendable {
    case value(Value)
    /// The answer is that there is nothing.
    case absent
    /// Not known, or not any more.
    case miss
  }

  /// What a question was answered.
  public struct Answer: Sendable {
    /// Nil: there is nothing under the key.
    public let value: Value?
    /// It is past its time, and stands in for a fetch that failed.
    public let isStale: Bool
  }

  typealias Fetch = @Sendable () async throws -> Value?

  struct Entry: Sendable {
    /// Nil: there is nothing under the key.
    var value: Value?
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
  }

  let state: Locked<State>
  private let options: NearCacheOptions<Value>
  private let clock: any Core.Clock

  public convenience init(_ options: NearCacheOptions<Value> = NearCacheOptions()) {
    self.init(options, clock: SystemClock())
  }

  /// With a clock of one's own, for tests.
  package init(_ options: NearCacheOptions<Value>, clock: any Core.Clock) {
    self.options = options
    self.clock = clock
    state = Locked(
      State(table: SieveTable(maximumCount: options.maximumEntries, maximumBytes: options.maximumBytes)))
  }

  var now: UInt64 { clock.now.nanoseconds }

  // MARK: Reading

  /// What is known of a key, from memory alone.
  public func lookup(_ key: CacheKey) -> Lookup {
    let now = now
    let policy = policy(key)
    return state.withLock { state in
      let known = Self.find(key, policy, now, &state)
      guard let known, known.freshness <= .refresh else {
        state.statistics.misses += 1
        return .miss
      }
      state.statistics.hits += 1
      return known.value.map(Lookup.value) ?? .absent
    }
  }

  /// The value under a key, if one is known.
  public func value(for key: CacheKey) -> Value? {
    if case .value(let value) = lookup(key) { return value }
    return nil
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

  /// Nil for what is not there, or older than may be given at all.
  static func find(
    _ key: CacheKey, _ policy: NearCachePolicy, _ now: UInt64, _ state: inout State
  ) -> (value: Value?, freshness: Freshness)? {
    let confirmedAt = state.confirmedAt
    return state.table.use(key) { entry -> (Value?, Freshness)? in
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

  /// Stores a value, or that there is nothing. A fetch of the key that is under way will not be stored.
  public func set(_ value: Value?, for key: CacheKey) {
    let now = now
    state.withLock { state in
      overtake(&state) { $0 == key }
      store(value, key, bornAt: now, &state)
    }
  }

  func store(_ value: Value?, _ key: CacheKey, bornAt: UInt64, _ state: inout State) {
    let policy = policy(key)
    let spread = 1 + min(1, max(0, policy.jitter)) * Double.random(in: -1...1)
    let seconds = (value == nil ? policy.negativeTimeToLive : policy.timeToLive) * spread
    let timeToLive = nanoseconds(seconds)
    let entry = Entry(
      value: value, bornAt: bornAt, timeToLive: timeToLive,
      refreshAfter: policy.refreshAhead < 1 ? nanoseconds(seconds * policy.refreshAhead) : .max, failedAt: nil)
    let bytes = Self.overheadBytes + key.text.utf8.count + (value.map(options.byteCount) ?? 0)
    if !state.table.store(key, entry, byteCount: bytes) { state.statistics.tooLarge += 1 }
  }

  /// What an entry takes beside its value and its key, about.
  private static var overheadBytes: Int { 160 }

  /// Makes the answer under a key young again. False if there is none.
  @discardableResult
  public func touch(_ key: CacheKey) -> Bool {
    let now = now
    return state.withLock { $0.table.use(key) { $0.bornAt = now } != nil }
  }

  /// All that is stored is as good as if it had been fetched now: for who is told of every change.
  public func confirm() {
    let now = now
    state.withLock { $0.confirmedAt = max($0.confirmedAt, now) }
  }

  /// Stores a value in the place of another. False if there is none; then nothing is stored.
  public func replace(_ key: CacheKey, by value: Value) -> Bool {
    let now = now
    return state.withLock { state in
      overtake(&state) { $0 == key }
      guard state.table.change(key, { _ in }) != nil else { return false }
      store(value, key, bornAt: now, &state)
      return true
    }
  }

  /// Whether there is an answer under a key that can be given, if need be past its time.
  public func holds(_ key: CacheKey) -> Bool {
    let (now, policy) = (now, policy(key))
    return state.withLock { Self.find(key, policy, now, &$0) != nil }
  }

  // MARK: Dropping

  /// Drops the answer under a key. A fetch of it that is under way is not stored, and who asks from now on does not get
  /// its answer.
  public func invalidate(_ key: CacheKey) {
    state.withLock { state in
      overtake(&state) { $0 == key }
      if state.table.remove(key) { state.statistics.invalidations += 1 }
    }
  }

  /// The same, but an answer that `isStillGood` is kept: one that is known to be no older than what was announced.
  public func invalidate(_ key: CacheKey, unless isStillGood: (Value?) -> Bool) {
    state.withLock { state in
      overtake(&state) { $0 == key }
      guard state.table.change(key, { isStillGood($0.value) }) == false, state.table.remove(key) else { return }
      state.statistics.invalidations += 1
    }
  }

  /// Drops all keys whose text begins so. Looks at each.
  public func invalidate(prefix: String) {
    state.withLock { state in
      overtake(&state) { $0.hasPrefix(prefix) }
      state.statistics.invalidations += UInt64(state.table.removeAll { $0.hasPrefix(prefix) })
    }
  }

  /// Drops everything.
  public func clear() {
    state.withLock { state in
      overtake(&state) { _ in true }
      state.statistics.invalidations += UInt64(state.table.count)
      state.table.removeAll()
    }
  }

  private func overtake(_ state: inout State, _ isWanted: (CacheKey) -> Bool) {
    state.statistics.fetchesOvertaken += UInt64(state.flights.overtake(isWanted))
  }

  /// What has been done so far.
  public var statistics: NearCacheStatistics {
    state.withLock { state in
      var statistics = state.statistics
      statistics.entries = state.table.count
      statistics.bytes = state.table.byteCount
      statistics.evictions = state.table.evictions
      return statistics
    }
  }

  func policy(_ key: CacheKey) -> NearCachePolicy {
    options.policies.isEmpty ? options.defaultPolicy : options.policies[String(key.entity)] ?? options.defaultPolicy
  }
}

func nanoseconds(_ seconds: Double) -> UInt64 {
  seconds > 0 ? UInt64(min(seconds, 1e9) * 1e9) : 0
}
