/// Finds a key's notice among those of a ``WatchQueue``: an open-addressed table of places in its list, 4 bytes each.
///
/// The list is lent to every call. What has left its front is not found any more, and takes a slot until the next
/// ``rebuild(for:from:)``.
struct WatchQueuePlaces {
  /// A place and one more; 0: free. A power of two of them, or none.
  private var slots: [UInt32] = []
  private var used = 0

  /// Where the notice stands that is about the same key.
  func place(of notice: Notice, in notices: [Notice?], from first: Int) -> Int? {
    guard !slots.isEmpty else { return nil }
    var slot = notice.keyHash & (slots.count - 1)
    while slots[slot] != 0 {
      let place = Int(slots[slot]) - 1
      if place >= first, let other = notices[place], other.isAboutSameKey(as: notice) { return place }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Adds a place of the list, whose key is not among the others.
  mutating func insert(_ place: Int, in notices: [Notice?], from first: Int) {
    // A quarter stays free, so that a search ends soon.
    if (used + 1) * 4 > slots.count * 3 { return rebuild(for: notices, from: first) }
    guard let notice = notices[place] else { return }
    put(place, notice.keyHash)
  }

  /// Makes the table anew, as large as the list from `first` on needs.
  mutating func rebuild(for notices: [Notice?], from first: Int) {
    var count = 16
    while count < (notices.count - first) * 2 { count *= 2 }
    slots = Array(repeating: 0, count: count)
    used = 0
    for place in first..<notices.count {
      if let notice = notices[place] { put(place, notice.keyHash) }
    }
  }

  private mutating func put(_ place: Int, _ hash: Int) {
    var slot = hash & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(place + 1)
    used += 1
  }
}
