// SPDX-License-Identifier: Apache-2.0
package import ConfigLookupCore

/// A near cache: answers of a service in the memory of the process that uses them, for a time to live or for as long as
/// their source confirms them.
///
/// All members may be called on any thread. A hit takes one short lock and makes no system call but that of the clock.
/// A value that was fetched before its key was invalidated is never stored: see ``getOrFetch(_:_:)``.
public final class NearCache<Value: Sendable>: Sendable {
  /// The result of a lookup in memory.
  public enum Lookup: Sendable {
    /// The value under the key.
    case value(Value)
    /// The service answered that there is no value under the key.
    case absent
    /// No answer is cached, or its time to live has ended.
    case miss
  }

  /// An answer from memory or from a fetch.
  public struct Answer: Sendable {
    /// The value. Nil: there is none under the key.
    public let value: Value?
    /// Whether the answer's time to live has ended. Such an answer is returned in place of a fetch that failed.
    public let isStale: Bool
  }

  private let store: NearCacheStore
  private let byteCount: @Sendable (Value) -> Int

  /// Makes an empty cache.
  ///
  /// - Parameter options: the limits of the cache and the policies of its entities.
  public convenience init(_ options: NearCacheOptions<Value> = NearCacheOptions()) {
    self.init(options, clock: SystemClock())
  }

  /// Makes an empty cache with a clock and a way to start fetches, for tests.
  ///
  /// - Parameters:
  ///   - options: the limits of the cache and the policies of its entities.
  ///   - clock: the clock by which answers age.
  ///   - run: starts a fetch as a task.
  package init(
    _ options: NearCacheOptions<Value>, clock: any TimeSource,
    run: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Task<Void, Never> = { Task(operation: $0) }
  ) {
    byteCount = options.byteCount
    store = NearCacheStore(
      maximumEntries: options.maximumEntries, maximumBytes: options.maximumBytes, policies: options.policies,
      defaultPolicy: options.defaultPolicy, clock: clock, run: run)
  }

  // MARK: Reading

  /// Looks up a key in memory only. The lookup counts as a hit or a miss.
  ///
  /// - Parameter key: the key.
  /// - Returns: the cached answer, or ``Lookup/miss``.
  public func lookup(_ key: CacheKey) -> Lookup {
    guard let known = store.lookup(key) else { return .miss }
    return known.value.map { .value(Self.value($0)) } ?? .absent
  }

  /// Returns the cached value of a key, from memory only. The lookup counts as a hit or a miss.
  ///
  /// - Parameter key: the key.
  /// - Returns: the value; nil if there is none, and if no answer is cached.
  public func value(for key: CacheKey) -> Value? {
    store.lookup(key)?.value.map(Self.value)
  }

  /// Returns whether a cached answer could be returned for a key, if only as a stale one.
  ///
  /// - Parameter key: the key.
  /// - Returns: whether there is such an answer.
  public func holds(_ key: CacheKey) -> Bool { store.holds(key) }

  // MARK: Fetching

  /// Returns the value of a key from memory, or fetches it.
  ///
  /// Fetches are single-flight: all callers that miss the same key share one fetch. Its answer is stored unless the key
  /// was invalidated or set after the fetch began. A caller that asks after an invalidation never gets an answer that
  /// was fetched before it. A cancelled caller stops waiting; a fetch is cancelled when no caller waits for it any
  /// more.
  ///
  /// - Parameters:
  ///   - key: the key.
  ///   - fetch: asks the service. It returns nil if there is no value.
  /// - Returns: the value; nil if there is none.
  /// - Throws: the error of `fetch`, if there is no stale answer to return; `CancellationError`.
  nonisolated(nonsending) public func getOrFetch(
    _ key: CacheKey, _ fetch: @escaping @Sendable () async throws -> Value?
  ) async throws -> Value? {
    // Most calls are hits.
    if let known = store.known(key) { return known.value.map(Self.value) }
    return try await answer(for: key, fetch).value
  }

  /// Returns the answer of a key like ``getOrFetch(_:_:)``, with the information whether it is stale.
  ///
  /// - Parameters:
  ///   - key: the key.
  ///   - fetch: asks the service. It returns nil if there is no value.
  /// - Returns: the answer.
  /// - Throws: the error of `fetch`, if there is no stale answer to return; `CancellationError`.
  nonisolated(nonsending) public func answer(
    for key: CacheKey, _ fetch: @escaping @Sendable () async throws -> Value?
  ) async throws -> Answer {
    let answer = try await store.answer(for: key) { [byteCount] in
      try await fetch().map { NearCacheStore.Fetched(value: Stored($0), byteCount: byteCount($0)) }
    }
    return Answer(value: answer.value.map(Self.value), isStale: answer.isStale)
  }

  // MARK: Writing

  /// Stores an answer. The answer of a fetch of the key that is in progress is not stored.
  ///
  /// - Parameters:
  ///   - value: the value; nil for the answer that there is none.
  ///   - key: the key.
  public func set(_ value: Value?, for key: CacheKey) {
    store.set(value.map(fetched), for: key)
  }

  /// Stores a value if there is a cached answer for its key to replace. The answer of a fetch of the key that is in
  /// progress is not stored in either case.
  ///
  /// - Parameters:
  ///   - key: the key.
  ///   - value: the new value.
  /// - Returns: whether there was an answer to replace. If not, nothing is stored.
  public func replace(_ key: CacheKey, by value: Value) -> Bool {
    store.replace(key, by: fetched(value))
  }

  /// Resets the age of a cached answer to zero.
  ///
  /// - Parameter key: the key.
  /// - Returns: whether there is an answer for the key.
  @discardableResult
  public func touch(_ key: CacheKey) -> Bool { store.touch(key) }

  /// Resets the age of all cached answers to zero, as if they had been fetched now. For callers that are notified of
  /// every change.
  public func confirm() { store.confirm() }

  // MARK: Dropping

  /// Drops the answer of a key. The answer of a fetch of the key that is in progress is not stored, and is not returned
  /// to callers that ask from now on.
  ///
  /// - Parameter key: the key.
  public func invalidate(_ key: CacheKey) {
    store.invalidate(key, unless: { _ in false })
  }

  /// Drops the answer of a key unless it is current. A fetch that is in progress is treated as by ``invalidate(_:)``.
  ///
  /// - Parameters:
  ///   - key: the key.
  ///   - isStillGood: receives the cached value, nil for the answer that there is none; returns whether the answer is
  ///     at least as new as the change that is announced. Called under the cache's lock: it must not use the cache.
  public func invalidate(_ key: CacheKey, unless isStillGood: (Value?) -> Bool) {
    store.invalidate(key, unless: { isStillGood($0.map(Self.value)) })
  }

  /// Drops the answers of all keys of an entity and an identifier, whatever their variants. Linear in the number of
  /// keys.
  ///
  /// - Parameters:
  ///   - entity: the entity of the keys.
  ///   - identifier: the identifier of the keys.
  ///   - isStillGood: as in ``invalidate(_:unless:)``.
  public func invalidate(entity: String, identifier: String, unless isStillGood: (Value?) -> Bool = { _ in false }) {
    store.invalidate(
      where: { $0.entity == entity && $0.identifier == identifier }, unless: { isStillGood($0.map(Self.value)) })
  }

  /// Drops the answers of all keys whose text begins with a prefix. Linear in the number of keys.
  ///
  /// - Parameter prefix: the prefix, which is compared byte for byte.
  public func invalidate(prefix: String) { store.invalidate(prefix: prefix) }

  /// Drops all answers. The answers of fetches that are in progress are not stored.
  public func clear() { store.clear() }

  /// The counters and the size of the cache.
  public var statistics: NearCacheStatistics { store.statistics }

  // MARK: Stored values

  private func fetched(_ value: Value) -> NearCacheStore.Fetched {
    NearCacheStore.Fetched(value: Stored(value), byteCount: byteCount(value))
  }

  /// The cast is safe: only this cache stores values in its store.
  private static func value(_ stored: StoredValue) -> Value {
    unsafeDowncast(stored, to: Stored<Value>.self).value
  }
}
