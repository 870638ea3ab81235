// SPDX-License-Identifier: Apache-2.0
/// A table with a maximum size. When it is full, it evicts entries that have not been used again.
///
/// The algorithm is SIEVE (Zhang et al., NSDI 2024): entries are kept in the order of their insertion, and a hit only
/// marks its entry. A hand moves from the oldest entry to the newest; it removes the marks that it passes, and evicts
/// the first entry without a mark. A scan does not evict the entries that are in use, and a hit moves no entry.
struct SieveTable<Value: Sendable>: Sendable {
  private struct Slot: Sendable {
    var key: CacheKey
    var value: Value?
    var byteCount: Int
    var isMarked = false
    var newer: Int
    var older: Int
  }

  private static var none: Int { -1 }

  private let maximumCount: Int
  private let maximumBytes: Int
  private var places: [CacheKey: Int] = [:]
  private var slots: [Slot] = []
  private var free: [Int] = []
  private var newest = none
  private var oldest = none
  private var hand = none
  private(set) var byteCount = 0
  /// Number of entries that were evicted.
  private(set) var evictions: UInt64 = 0

  init(maximumCount: Int, maximumBytes: Int) {
    self.maximumCount = max(1, maximumCount)
    self.maximumBytes = maximumBytes
  }

  var count: Int { places.count }

  /// Calls a function with the value of a key, and marks the entry as used. Nil if there is none.
  mutating func use<Result>(_ key: CacheKey, _ body: (inout Value) -> Result) -> Result? {
    guard let place = places[key] else { return nil }
    slots[place].isMarked = true
    return change(place, body)
  }

  /// Calls a function with the value of a key, without a mark. Nil if there is none.
  mutating func change<Result>(_ key: CacheKey, _ body: (inout Value) -> Result) -> Result? {
    guard let place = places[key] else { return nil }
    return change(place, body)
  }

  private mutating func change<Result>(_ place: Int, _ body: (inout Value) -> Result) -> Result? {
    guard var value = slots[place].value.take() else { return nil }
    defer { slots[place].value = value }
    return body(&value)
  }

  /// Stores a value, and replaces the previous one of its key. Returns false if the value alone exceeds the maximum
  /// size; then the key has no value.
  mutating func store(_ key: CacheKey, _ value: Value, byteCount: Int) -> Bool {
    guard byteCount <= maximumBytes else {
      remove(key)
      return false
    }
    if let place = places[key] {
      self.byteCount += byteCount - slots[place].byteCount
      slots[place].value = value
      slots[place].byteCount = byteCount
      // The entry that was just stored is not a candidate for eviction.
      slots[place].isMarked = true
      while self.byteCount > maximumBytes { evict() }
      return true
    }
    while count >= maximumCount || self.byteCount + byteCount > maximumBytes { evict() }
    let slot = Slot(key: key, value: value, byteCount: byteCount, newer: Self.none, older: newest)
    let place: Int
    if let spare = free.popLast() {
      place = spare
      slots[place] = slot
    } else {
      place = slots.count
      slots.append(slot)
    }
    if newest != Self.none { slots[newest].newer = place } else { oldest = place }
    newest = place
    places[key] = place
    self.byteCount += byteCount
    return true
  }

  @discardableResult
  mutating func remove(_ key: CacheKey) -> Bool {
    guard let place = places[key] else { return false }
    remove(place)
    return true
  }

  /// The keys that fulfil a condition. Linear in the number of keys.
  func keys(where isWanted: (CacheKey) -> Bool) -> [CacheKey] { places.keys.filter(isWanted) }

  /// Removes all entries whose keys fulfil a condition, and returns their number. Linear in the number of keys.
  mutating func removeAll(where isWanted: (CacheKey) -> Bool) -> Int {
    let wanted = places.filter { isWanted($0.key) }
    for place in wanted.values { remove(place) }
    return wanted.count
  }

  mutating func removeAll() {
    let evictions = evictions
    self = SieveTable(maximumCount: maximumCount, maximumBytes: maximumBytes)
    self.evictions = evictions
  }

  private mutating func evict() {
    guard count > 0 else { return }
    var place = hand == Self.none ? oldest : hand
    while slots[place].isMarked {
      slots[place].isMarked = false
      place = slots[place].newer == Self.none ? oldest : slots[place].newer
    }
    // The position at which the hand continues; `remove` corrects it.
    hand = place
    remove(place)
    evictions += 1
  }

  private mutating func remove(_ place: Int) {
    let slot = slots[place]
    if hand == place { hand = slot.newer }
    if slot.newer != Self.none { slots[slot.newer].older = slot.older } else { newest = slot.older }
    if slot.older != Self.none { slots[slot.older].newer = slot.newer } else { oldest = slot.newer }
    places[slot.key] = nil
    byteCount -= slot.byteCount
    slots[place].value = nil
    free.append(place)
  }
}
