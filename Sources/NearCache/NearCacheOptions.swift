// SPDX-License-Identifier: Apache-2.0
/// The policy of an entity: how long its answers are cached, and how expired ones are treated.
///
/// The age of an answer counts from the latest of these: the begin of its fetch, the last ``NearCache/confirm()``, and
/// its last use if ``isSliding`` is set.
public struct NearCachePolicy: Sendable, Hashable {
  /// The time during which an answer is returned without another fetch.
  public var timeToLive: Duration
  /// The time to live of the answer that there is no value under the key.
  public var negativeTimeToLive: Duration
  /// The relative jitter of the times to live, 0 to 1: each is longer or shorter by at most this share, so that answers
  /// that were stored together do not expire together.
  public var jitter: Double
  /// The share of the time to live after which a lookup starts a refresh, 0 to 1. The lookup itself returns the cached
  /// answer at once. 1 for no refresh ahead of expiry.
  public var refreshAhead: Double
  /// The time after the end of the time to live during which an answer is returned as a stale one if a fetch fails.
  public var staleIfError: Duration
  /// The time after a failed fetch during which a stale answer is returned without another attempt.
  public var errorPause: Duration
  /// Whether each use of an answer resets its age.
  public var isSliding: Bool

  /// Makes a policy. A negative time counts as zero, and 292 years are the longest one.
  ///
  /// - Parameters:
  ///   - timeToLive: the time to live of a value.
  ///   - negativeTimeToLive: the time to live of the answer that there is no value.
  ///   - jitter: the relative jitter of the times to live, 0 to 1.
  ///   - refreshAhead: the share of the time to live after which a use starts a refresh; 1 for never.
  ///   - staleIfError: how long after its time to live an answer may stand in for a failed fetch.
  ///   - errorPause: how long after a failed fetch no other one is attempted.
  ///   - isSliding: whether each use resets the age.
  public init(
    timeToLive: Duration = .seconds(300), negativeTimeToLive: Duration = .seconds(30), jitter: Double = 0.1,
    refreshAhead: Double = 1, staleIfError: Duration = .seconds(3600), errorPause: Duration = .seconds(1),
    isSliding: Bool = false
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

/// The limits of a ``NearCache`` and the policies of its entities.
public struct NearCacheOptions<Value: Sendable>: Sendable {
  /// Maximum number of answers.
  public var maximumEntries: Int
  /// Maximum number of bytes: those of ``byteCount``, of the keys, and about 200 for each answer.
  public var maximumBytes: Int
  /// Returns the approximate size of a value in bytes.
  public var byteCount: @Sendable (Value) -> Int
  /// The policy of each entity. The entity is the first part of a key.
  public var policies: [String: NearCachePolicy]
  /// The policy of entities that are not in ``policies``.
  public var defaultPolicy: NearCachePolicy

  /// Makes options.
  ///
  /// - Parameters:
  ///   - maximumEntries: the maximum number of answers.
  ///   - maximumBytes: the maximum number of bytes.
  ///   - policies: the policy of each entity.
  ///   - defaultPolicy: the policy of the other entities.
  ///   - byteCount: returns the approximate size of a value in bytes.
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
