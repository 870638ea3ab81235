/// Which keys a subscriber asks for.
struct WatchFilter {
  var collections: [Collection] = []
  var keys: [String] = []
  var prefixes: [String] = []

  init() {}

  init(_ chance: inout Chance, _ keyNames: [String]) {
    if chance.once(in: 2) { return }
    collections = Collection.allCases.filter { _ in chance.once(in: 2) }
    switch chance.below(4) {
    case 0: keys = [chance.pick(keyNames)]
    case 1: prefixes = [chance.pick(keyNames)]
    default: break
    }
  }

  /// `cacheKey` is `{entity}:{identifier}[:{variant}]`.
  func includes(_ cacheKey: String) -> Bool {
    // Looked up only, never announced.
    if cacheKey.hasPrefix("prompt:by-id:") { return false }
    let parts = cacheKey.split(separator: ":")
    guard collections.isEmpty || collections.contains(where: { $0.entity == parts[0] }) else { return false }
    let key = String(parts[1])
    return keys.isEmpty && prefixes.isEmpty || keys.contains(key) || prefixes.contains { key.hasPrefix($0) }
  }

  /// Fields 1 to 3 of `WatchInvalidationsRequest`.
  func write(to request: inout Wire) {
    for collection in collections { request.add(1, UInt64(collection.rawValue + 1)) }
    for key in keys { request.add(2, key) }
    for prefix in prefixes { request.add(3, prefix) }
  }
}
