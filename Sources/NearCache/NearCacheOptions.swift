/// How long answers of one kind are kept, and what happens when they grow old. All times are in seconds.
///
/// The age of an answer counts from when its fetch began, from the last ``NearCache/confirm()``, and, where
/// ``isSliding``, from when it was last used: from the latest of them.
public struct NearCachePolicy: Sendable, Hashable {
  /// For how long an answer is given without asking again.
  public var timeToLive: Double
  /// The same for the answer that there is nothing under the key.
  public var negativeTimeToLive: Double
  /// Each answer's time is longer or shorter by at most this part of it, so that what was stored at once does not
  /// expire at once. In 0...1.
  public var jitter: Double
  /// From this part of its time on, an answer that is asked for is fetched anew behind the back of who asks, who gets
  /// the old one at once. In 0...1; 1 for never.
  public var refreshAhead: Double
  /// For how long past its time an answer is given where a fetch fails.
  public var staleIfError: Double
  /// After a failed fetch, for so long an answer that may be stale is given without another try.
  public var errorPause: Double
  /// Whether a use makes the answer young again.
  public var isSliding: Bool

  public init(
    timeToLive: Double = 300, negativeTimeToLive: Double = 30, jitter: Double = 0.1, refreshAhead: Double = 1,
    staleIfError: Double = 3600, errorPause: Double = 1, isSliding: Bool = false
  ) {
    self.timeToLive = timeToLive
    self.negativeTimeToLive = negativeTimeToLive
    self.jitter = jitter
    self.refreshAhead = refreshAhead
    self.staleIfError = staleIfError
    self.errorPause = errorPause
    self.isSliding = isSliding
  }
}

/// What a ``NearCache`` holds at most, and how long.
public struct NearCacheOptions<Value: Sendable>: Sendable {
  /// No more answers than this.
  public var maximumEntries: Int
  /// No more bytes than this, by ``byteCount`` and what the cache itself takes.
  public var maximumBytes: Int
  /// About how many bytes a value takes.
  public var byteCount: @Sendable (Value) -> Int
  /// By entity, the first part of a key.
  public var policies: [String: NearCachePolicy]
  /// For entities that are not in ``policies``.
  public var defaultPolicy: NearCachePolicy

  public init(
    maximumEntries: Int = 10_000, maximumBytes: Int = 64 * 1024 * 1024, policies: [String: NearCachePolicy] = [:],
    defaultPolicy: NearCachePolicy = NearCachePolicy(),
    byteCount: @escaping @Sendable (Value) -> Int = { _ in MemoryLayout<Value>.size }
  ) {
    self.maximumEntries = maximumEntries
    self.maximumBytes = maximumBytes
    self.policies = policies
    self.defaultPolicy = defaultPolicy
    self.byteCount = byteCount
  }
}
