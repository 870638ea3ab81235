// SPDX-License-Identifier: Apache-2.0
extension NearCache {
  /// Wraps an asynchronous function, whose answers are cached in this cache.
  ///
  ///     let weather = cache.cached(prefix: "weather", key: { $0.name }) { try await service.weather(in: $0) }
  ///     try await weather(nairobi)
  ///
  /// - Parameters:
  ///   - prefix: the entity of the keys. The policy of this entity applies.
  ///   - key: returns the identifier of an input. Inputs with equal identifiers share an answer.
  ///   - function: is called on a miss. It returns nil if there is no value.
  /// - Returns: a function that returns a cached answer, or calls `function`; it throws what ``getOrFetch(_:_:)``
  ///   throws.
  public func cached<Input: Sendable>(
    prefix: String, key: @escaping @Sendable (Input) -> String,
    _ function: @escaping @Sendable (Input) async throws -> Value?
  ) -> @Sendable (Input) async throws -> Value? {
    { input in
      try await self.getOrFetch(CacheKey(entity: prefix, identifier: key(input))) { try await function(input) }
    }
  }
}

/// Wraps an asynchronous function, whose answers are cached in a cache of its own. After a failed call no stale answer
/// is returned.
///
/// - Parameters:
///   - prefix: the entity of the keys.
///   - timeToLive: the time to live of an answer.
///   - maximumEntries: the maximum number of answers.
///   - key: returns the identifier of an input. Inputs with equal identifiers share an answer.
///   - function: is called on a miss. It returns nil if there is no value.
/// - Returns: a function that returns a cached answer, or calls `function`; it throws what `function` throws, or
///   `CancellationError`.
public func cached<Input: Sendable, Value: Sendable>(
  prefix: String, timeToLive: Duration, maximumEntries: Int = 1000, key: @escaping @Sendable (Input) -> String,
  _ function: @escaping @Sendable (Input) async throws -> Value?
) -> @Sendable (Input) async throws -> Value? {
  NearCache(
    NearCacheOptions(
      maximumEntries: maximumEntries, defaultPolicy: NearCachePolicy(timeToLive: timeToLive, staleIfError: .zero))
  ).cached(prefix: prefix, key: key, function)
}
