// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

/// Tests of a cache that is released without `stop()`.
@Suite struct ReleaseTests {
  /// The threads end and release the last references to the source. One of the threads may release the cache.
  @Test(arguments: [false, true]) func itsThreadsEnd(onItsThread: Bool) throws {
    weak var held: InMemorySource?
    do {
      let source = InMemorySource()
      held = source
      try source.put(country("1", "KE", "Kenya"))
      let box = Locked<ChangeStreamCache<Country>?>(nil)
      var cache: ChangeStreamCache<Country>? = ChangeStreamCache(source: source) { _ in
        let last = box.withLock { cache in
          defer { cache = nil }
          return cache
        }
        withExtendedLifetime(last) {}
      }
      cache?.start()
      try poll("the cache is warm") { cache?.reader.isLoaded == true }
      if onItsThread { box.withLock { $0 = cache } }
      cache = nil
      if onItsThread {
        try source.put(country("2", "UG", "Uganda"))
        try poll("the cache is released") { box.withLock { $0 == nil } }
      }
    }
    try poll("its threads have ended") { held == nil }
  }
}
