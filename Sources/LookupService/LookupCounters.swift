// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// The hit and miss counters of one worker's lookups in one cache. Written on the worker's thread, read on any thread.
final class LookupCounters: Sendable {
  private let hits = Atomic<UInt64>(0)
  private let misses = Atomic<UInt64>(0)

  /// Counts a lookup: a hit if the cache was loaded and verified within its TTL, a miss if not.
  func count(isValid: Bool) {
    // A load and a store suffice, without an atomic addition, because there is only one writer.
    if isValid {
      hits.store(hits.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    } else {
      misses.store(misses.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }
  }

  var hitCount: UInt64 { hits.load(ordering: .relaxed) }
  var missCount: UInt64 { misses.load(ordering: .relaxed) }
}
