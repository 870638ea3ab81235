extension NearCache {
  /// Any asynchronous function, with its answers kept in this cache.
  ///
  ///     let weather = cache.cached(prefix: "weather", key: { $0.name }) { try await service.weather(in: $0) }
  ///     try await weather(nairobi)
  ///
  /// - Parameters:
  ///   - prefix: the entity of the keys; `policies` of the options may have one for it.
  ///   - key: the identifier of an input. Equal identifiers share an answer.
  ///   - function: what is asked where nothing is known; nil is the answer that there is nothing.
  public func cached<Input: Sendable>(
    prefix: String, key: @escaping @Sendable (Input) -> String,
    _ function: @escaping @Sendable (Input) async throws -> Value?
  ) -> @Sendable (Input) async throws -> Value? {
    { input in
      try await self.getOrFetch(CacheKey(entity: prefix, identifier: key(input))) { try await function(input) }
    }
  }
}

/// Any asynchronous function, with its answers kept for `timeToLive` seconds, in a cache of its own.
public func cached<Input: Sendable, Value: Sendable>(
  prefix: String, timeToLive: Double, maximumEntries: Int = 1000, key: @escaping @Sendable (Input) -> String,
  _ function: @escaping @Sendable (Input) async throws -> Value?
) -> @Sendable (Input) async throws -> Value? {
  NearCache(
    NearCacheOptions(
      maximumEntries: maximumEntries, defaultPolicy: NearCachePolicy(timeToLive: timeToLive, staleIfError: 0))
  ).cached(prefix: prefix, key: key, function)
}
