// SPDX-License-Identifier: Apache-2.0
internal import Guarantees

/// The keys that a subscriber requests.
struct WatchFilter {
  var collections: [Collection] = []
  var keys: [String] = []
  var prefixes: [String] = []
  var selectors: [String] = []

  init() {}

  init(_ chance: inout Chance, _ names: [String]) {
    if chance.once(in: 2) { return }
    collections = Collection.allCases.filter { _ in chance.once(in: 2) }
    switch chance.below(4) {
    case 0: keys = [chance.pick(names)]
    case 1: prefixes = [chance.pick(names)]
    default: break
    }
    // A selector that none of the entities has is an error.
    let known = Set((collections.isEmpty ? Collection.allCases : collections).flatMap(\.selectors)).sorted()
    if chance.once(in: 3) { selectors = known.filter { _ in chance.once(in: 2) } }
  }

  /// Whether the cache key is requested. Names other than cache keys are only looked up.
  func includes(_ cacheKey: String) -> Bool {
    guard let name = CacheName(cacheKey) else { return false }
    guard collections.isEmpty || collections.contains(where: { $0.entity == name.entity }),
      selectors.isEmpty || selectors.contains(name.selector)
    else { return false }
    return keys.isEmpty && prefixes.isEmpty || keys.contains(name.key)
      || prefixes.contains { name.key.hasPrefix($0) }
  }

  /// Writes the fields of `WatchInvalidationsRequest`.
  func write(to request: inout Wire) {
    for collection in collections { request.add(1, UInt64(collection.rawValue + 1)) }
    for key in keys { request.add(2, key) }
    for prefix in prefixes { request.add(3, prefix) }
    for selector in selectors { request.add(9, selector) }
  }
}
