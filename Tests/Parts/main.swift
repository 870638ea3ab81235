import Foundation
import Glibc
import NearCache

// What the parts cost, one by one: script/parts. Nanoseconds of CPU, which others on the machine disturb least.

/// The CPU time of this process.
func cpuNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Prints what one of the `count` rounds of `body` took, at best of five.
func measure(_ what: String, count: Int, _ body: () async -> Void) async {
  var best = Double.infinity
  await body()
  for _ in 0..<5 {
    let start = cpuNanoseconds()
    await body()
    best = min(best, Double(cpuNanoseconds() - start) / Double(count))
  }
  let name = what.padding(toLength: 56, withPad: " ", startingAt: 0)
  print("\(name) \(String(format: "%8.1f", best)) ns")
}

let rounds = 200_000
let cache = NearCache<String>(NearCacheOptions(maximumEntries: 100_000))
let keys = (0..<1000).map { CacheKey(entity: "prompt", identifier: "agent-\($0)") }
for key in keys { cache.set("value of \(key)", for: key) }

await measure("near cache: hit, key at hand", count: rounds) {
  for round in 0..<rounds { _ = cache.lookup(keys[round % 1000]) }
}
await measure("near cache: hit, key made", count: rounds) {
  for _ in 0..<rounds { _ = cache.lookup(CacheKey(entity: "prompt", identifier: "agent-7")) }
}
await measure("near cache: hit by getOrFetch", count: rounds) {
  await Task.detached {
    for round in 0..<rounds { _ = try? await cache.getOrFetch(keys[round % 1000]) { nil } }
  }.value
}
await measure("near cache: hit, two threads at once", count: 2 * rounds) {
  await withTaskGroup(of: Void.self) { group in
    for _ in 0..<2 {
      group.addTask { for round in 0..<rounds { _ = cache.lookup(keys[round % 1000]) } }
    }
  }
}
await measure("near cache: invalidate and set", count: rounds) {
  for round in 0..<rounds {
    cache.invalidate(keys[round % 1000])
    cache.set("new", for: keys[round % 1000])
  }
}
