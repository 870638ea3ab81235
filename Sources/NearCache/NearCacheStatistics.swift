// SPDX-License-Identifier: Apache-2.0
/// The counters of a ``NearCache`` since it was made, and its size.
public struct NearCacheStatistics: Sendable, Hashable {
  /// Current number of answers.
  public var entries = 0
  /// Current size in bytes, as ``NearCacheOptions/maximumBytes`` counts them.
  public var bytes = 0
  /// Number of answers that were returned from memory, without stale ones.
  public var hits: UInt64 = 0
  /// Number of lookups for which there was no answer in memory, or only one whose time to live had ended.
  public var misses: UInt64 = 0
  /// Number of fetches that were begun, including refreshes.
  public var fetches: UInt64 = 0
  /// Number of misses that were answered by the fetch of another caller.
  public var fetchesSaved: UInt64 = 0
  /// Number of fetches that failed.
  public var fetchesFailed: UInt64 = 0
  /// Number of fetches whose answer was not stored because the key was invalidated or set while they were in progress.
  public var fetchesOvertaken: UInt64 = 0
  /// Number of fetches that were begun ahead of expiry.
  public var refreshes: UInt64 = 0
  /// Number of stale answers that were returned because a fetch had failed.
  public var staleServed: UInt64 = 0
  /// Number of answers that were evicted because the cache was full.
  public var evictions: UInt64 = 0
  /// Number of answers that were dropped by an invalidation.
  public var invalidations: UInt64 = 0
  /// Number of answers that were not stored because a single one was larger than the whole cache.
  public var tooLarge: UInt64 = 0

  /// The share of hits in all lookups, 0 to 1; 0 before the first lookup.
  public var hitRate: Double {
    let questions = hits + misses
    return questions == 0 ? 0 : Double(hits) / Double(questions)
  }

  /// Makes statistics with all counters 0.
  public init() {}
}
