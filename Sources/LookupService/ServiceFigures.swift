// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// The counters of one cache in the service, as of one moment.
public struct CacheFigures: Sendable {
  /// The number of notices with one reason and of one document.
  public struct Invalidations: Sendable {
    /// The reason of the notices.
    public let reason: String
    /// The `_id` of the document as text; `other` for all documents after the first thousand.
    public let itemID: String
    /// The number of notices.
    public let count: UInt64
  }

  /// Number of lookups that found the cache valid.
  public var hits: UInt64 = 0
  /// Number of lookups that found the cache past its TTL or not loaded.
  public var misses: UInt64 = 0
  /// The notices by reason and document, in order.
  public var invalidations: [Invalidations] = []
  /// Number of notices in the replay buffer.
  public var replayableNotices = 0
  /// The earliest start from which a replay is exact; nil if no history is known.
  public var replayFloor: Revision?
}

/// The counters of the watches in the service, as of one moment.
public struct WatchFigures: Sendable {
  /// Number of open watches.
  public var subscribers = 0
  /// Number of changed keys in the coalescing queues of all slow subscribers.
  public var queuedKeys = 0
  /// Number of notices sent, of every kind.
  public var notices: UInt64 = 0
  /// Number of RESYNC notices sent.
  public var resyncs: UInt64 = 0
  /// Number of lookups that wait for their `min_revision`.
  public var waitingCalls = 0
}

extension LookupService {
  /// The counters of the watches. Any thread.
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

  /// The counters of each cache, in the order of ``ServedEntity``. Any thread.
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
