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

  private let store: NearCacheStore
  private let byteCount: @Sendable (Value) -> Int

  public convenience init(_ options: NearCacheOptions<Value> = NearCacheOptions()) {
    self.init(options, clock: SystemClock())
  }

  /// With a clock of one's own, and one's own way to start a fetch, for tests.
  package init(
    _ options: NearCacheOptions<Value>, clock: any Core.Clock,
    run: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Task<Void, Never> = { Task(operation: $0) }
  ) {
    byteCount = options.byteCount
    store = NearCacheStore(
      maximumEntries: options.maximumEntries, maximumBytes: options.maximumBytes, policies: options.policies,
      defaultPolicy: options.defaultPolicy, clock: clock, run: run)
  }

  // MARK: Reading

  /// What is known of a key, from memory alone.
  public func lookup(_ key: CacheKey) -> Lookup {
    guard let known = store.lookup(key) else { return .miss }
    return known.value.map { .value(Self.value($0)) } ?? .absent
  }

  /// The value under a key, if one is known.
  public func value(for key: CacheKey) -> Value? {
    store.lookup(key)?.value.map(Self.value)
  }

  /// Whether there is an answer under a key that can be given, if need be past its time.
  public func holds(_ key: CacheKey) -> Bool { store.holds(key) }

  // MARK: Fetching

  /// The value under a key: from memory, or by `fetch`, which answers nil where there is nothing.
  ///
  /// However many ask for a key, it is fetched once at a time. What was fetched is stored unless the key was
  /// invalidated, or set, after the fetch began; who asks after an invalidation never gets an answer that was fetched
  /// before it. Who is cancelled stops waiting; a fetch that nobody waits for any more is cancelled.
  ///
  /// - Throws: what `fetch` throws, if there is no stale answer to give; `CancellationError`.
  nonisolated(nonsending) public func getOrFetch(
    _ key: CacheKey, _ fetch: @escaping @Sendable () async throws -> Value?
  ) async throws -> Value? {
    // Most often.
    if let known = store.known(key) { return known.value.map(Self.value) }
    return try await answer(for: key, fetch).value
  }

  /// The same, and whether it is past its time.
  nonisolated(nonsending) public func answer(
    for key: CacheKey, _ fetch: @escaping @Sendable () async throws -> Value?
  ) async throws -> Answer {
    let answer = try await store.answer(for: key) { [byteCount] in
      try await fetch().map { NearCacheStore.Fetched(value: Stored($0), byteCount: byteCount($0)) }
    }
    return Answer(value: answer.value.map(Self.value), isStale: answer.isStale)
  }

  // MARK: Writing

  /// Stores a value, or that there is nothing. A fetch of the key that is under way will not be stored.
  public func set(_ value: Value?, for key: CacheKey) {
    store.set(value.map(fetched), for: key)
  }

  /// Stores a value in the place of another. False if there is none; then nothing is stored.
  public func replace(_ key: CacheKey, by value: Value) -> Bool {
    store.replace(key, by: fetched(value))
  }

  /// Makes the answer under a key young again. False if there is none.
  @discardableResult
  public func touch(_ key: CacheKey) -> Bool { store.touch(key) }

  /// All that is stored is as good as if it had been fetched now: for who is told of every change.
  public func confirm() { store.confirm() }

  // MARK: Dropping

  /// Drops the answer under a key. A fetch of it that is under way is not stored, and who asks from now on does not get
  /// its answer.
  public func invalidate(_ key: CacheKey) {
    store.invalidate(key, unless: { _ in false })
  }

  /// The same, but an answer that `isStillGood` is kept: one that is known to be no older than what was announced.
  public func invalidate(_ key: CacheKey, unless isStillGood: (Value?) -> Bool) {
    store.invalidate(key, unless: { isStillGood($0.map(Self.value)) })
  }

  /// The same for every key of an entity and an identifier, whatever its variant. Looks at each key.
  public func invalidate(entity: String, identifier: String, unless isStillGood: (Value?) -> Bool = { _ in false }) {
    store.invalidate(
      where: { $0.entity == entity && $0.identifier == identifier }, unless: { isStillGood($0.map(Self.value)) })
  }

  /// Drops all keys whose text begins so. Looks at each.
  public func invalidate(prefix: String) { store.invalidate(prefix: prefix) }

  /// Drops everything.
  public func clear() { store.clear() }

  /// What has been done so far.
  public var statistics: NearCacheStatistics { store.statistics }

  // MARK: Beneath

  private func fetched(_ value: Value) -> NearCacheStore.Fetched {
    NearCacheStore.Fetched(value: Stored(value), byteCount: byteCount(value))
  }

  /// Only this cache stores in its store.
  private static func value(_ stored: StoredValue) -> Value {
    unsafeDowncast(stored, to: Stored<Value>.self).value
  }
}
