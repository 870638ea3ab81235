/// What a ``NearCache`` has done since it was made, and what it holds.
public struct NearCacheStatistics: Sendable, Hashable {
  public var entries = 0
  /// As the options count them.
  public var bytes = 0
  /// Answers given from memory, stale ones left out.
  public var hits: UInt64 = 0
  /// Questions that memory had no good answer to.
  public var misses: UInt64 = 0
  /// Fetches begun, those ahead of expiry among them.
  public var fetches: UInt64 = 0
  /// Misses that another's fetch answered.
  public var fetchesSaved: UInt64 = 0
  /// Fetches that failed.
  public var fetchesFailed: UInt64 = 0
  /// Fetches whose answer was not stored, because it was invalidated or replaced while it was on its way.
  public var fetchesOvertaken: UInt64 = 0
  /// Fetches begun ahead of expiry.
  public var refreshes: UInt64 = 0
  /// Answers past their time that were given because a fetch failed.
  public var staleServed: UInt64 = 0
  /// Answers that were dropped for want of room.
  public var evictions: UInt64 = 0
  /// Answers that were dropped by an invalidation.
  public var invalidations: UInt64 = 0
  /// Answers that were not kept, because one alone is larger than the cache.
  public var tooLarge: UInt64 = 0

  /// Hits among all questions, in 0...1; 0 before the first.
  public var hitRate: Double {
    let questions = hits + misses
    return questions == 0 ? 0 : Double(hits) / Double(questions)
  }

  public init() {}
}
