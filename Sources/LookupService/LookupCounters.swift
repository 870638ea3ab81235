internal import Synchronization

/// How one worker's lookups of one cache went. Written on the worker's thread, read on any.
final class LookupCounters: Sendable {
  private let hits = Atomic<UInt64>(0)
  private let misses = Atomic<UInt64>(0)

  /// A lookup found the cache loaded and confirmed within its TTL, or not.
  func count(isValid: Bool) {
    // A load and a store, no locked instruction: nobody else writes.
    if isValid {
      hits.store(hits.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    } else {
      misses.store(misses.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }
  }

  var hitCount: UInt64 { hits.load(ordering: .relaxed) }
  var missCount: UInt64 { misses.load(ordering: .relaxed) }
}
