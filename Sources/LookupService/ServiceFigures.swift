public import Core

/// What the service has counted of one cache, as of one moment.
public struct CacheFigures: Sendable {
  /// Notices by why and of which document.
  public struct Invalidations: Sendable {
    public let reason: String
    /// `_id` as text; `other` for all beyond the first thousand.
    public let itemID: String
    public let count: UInt64
  }

  /// Lookups that found the cache valid.
  public var hits: UInt64 = 0
  /// Lookups that found it past its TTL, or not loaded.
  public var misses: UInt64 = 0
  public var invalidations: [Invalidations] = []
  /// Notices that a watch with a start can be given again.
  public var replayableNotices = 0
  /// The earliest start that is replayed exactly; nil while nothing is known.
  public var replayFloor: Revision?
}

/// What the service has counted of the watches, as of one moment.
public struct WatchFigures: Sendable {
  /// Watches that are open.
  public var subscribers = 0
  /// Changed keys that wait for slow subscribers, added up.
  public var queuedKeys = 0
  /// Notices sent, of every kind.
  public var notices: UInt64 = 0
  /// RESYNCs among them.
  public var resyncs: UInt64 = 0
  /// Lookups that wait for their `min_revision`.
  public var waitingCalls = 0
}

extension LookupService {
  /// What has been counted of the watches. Any thread.
  public var watchFigures: WatchFigures {
    var figures = WatchFigures()
    figures.subscribers = subscriberCount
    figures.waitingCalls = waitingCalls.count
    for shard in states.map(\.shard) {
      figures.queuedKeys += shard.counters.queuedKeyCount
      figures.notices += shard.counters.noticeCount
      figures.resyncs += shard.counters.resyncCount
    }
    return figures
  }

  /// What has been counted of each cache, in the order of ``ServedEntity``. Any thread.
  public var figures: [CacheFigures] {
    ServedEntity.allCases.map { entity in
      var figures = hub.figures(entity)
      for state in states {
        figures.hits += state.counters[entity.rawValue].hitCount
        figures.misses += state.counters[entity.rawValue].missCount
      }
      return figures
    }
  }
}
