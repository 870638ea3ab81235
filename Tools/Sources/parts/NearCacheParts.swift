// SPDX-License-Identifier: Apache-2.0
internal import NearCache

/// Operations of the near cache, which is in the client's process.
func nearCacheParts() -> [Part] {
  let cache = NearCache<String>(NearCacheOptions(maximumEntries: 100_000))
  let keys = (0..<1000).map { CacheKey(entity: "prompt", identifier: "agent-\($0)") }
  for key in keys { cache.set("value of \(key)", for: key) }
  let rounds = 200_000
  return [
    Part("near cache: hit, key at hand", count: rounds) { _ in
      { count in for round in 0..<count { _ = cache.lookup(keys[round % 1000]) } }
    },
    Part("near cache: hit, key made", count: rounds) { _ in
      { count in for _ in 0..<count { _ = cache.lookup(CacheKey(entity: "prompt", identifier: "agent-7")) } }
    },
    Part("near cache: hit by getOrFetch", count: rounds) { _ in
      { count in
        waiting {
          for round in 0..<count { _ = try? await cache.getOrFetch(keys[round % 1000]) { nil } }
        }
      }
    },
    Part("near cache: hit, two threads at once", count: rounds) { _ in
      { count in
        waiting {
          await withTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
              group.addTask { for round in 0..<(count / 2) { _ = cache.lookup(keys[round % 1000]) } }
            }
          }
        }
      }
    },
    Part("near cache: invalidate and set", count: rounds) { _ in
      { count in
        for round in 0..<count {
          cache.invalidate(keys[round % 1000])
          cache.set("new", for: keys[round % 1000])
        }
      }
    },
  ]
}
