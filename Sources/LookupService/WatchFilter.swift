internal import ChangeStreamCache

/// Which keys a watch is about.
struct WatchFilter {
  var entities: [ServedEntity]
  var keys: Set<[UInt8]>
  var prefixes: [[UInt8]]

  /// About what the keys and prefixes take: each is an array of its own.
  var byteCount: Int {
    keys.reduce(0) { $0 + $1.count + 64 } + prefixes.reduce(0) { $0 + $1.count + 40 }
  }

  func includes(_ entity: ServedEntity, _ key: LookupKey) -> Bool {
    entities.contains(entity) && includes(key)
  }

  private func includes(_ key: LookupKey) -> Bool {
    if keys.isEmpty, prefixes.isEmpty { return true }
    return keys.contains(key.bytes) || prefixes.contains { key.bytes.starts(with: $0) }
  }
}
