// SPDX-License-Identifier: Apache-2.0
/// Finds the notice of a key in a ``WatchQueue``: an open-addressed hash table of indices into its list, 4 bytes each.
///
/// Each call receives the list as an argument. A notice that was removed from the front of the list is not found any
/// more; its slot stays in use until the next ``rebuild(for:from:)``.
struct WatchQueuePlaces {
  /// An index plus one; 0 for a free slot. The number of slots is a power of two, or 0.
  private var slots: [UInt32] = []
  private var used = 0

  /// The index of the notice about the same key; nil if there is none.
  func place(of notice: EncodedNotice, in notices: [EncodedNotice?], from first: Int) -> Int? {
    guard !slots.isEmpty else { return nil }
    var slot = notice.keyHash & (slots.count - 1)
    while slots[slot] != 0 {
      let place = Int(slots[slot]) - 1
      if place >= first, let other = notices[place], other.isAboutSameKey(as: notice) { return place }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Adds an index of the list. Its key must not be in the table.
  mutating func insert(_ place: Int, in notices: [EncodedNotice?], from first: Int) {
    // A quarter of the slots stays free, so that searches are short.
    if (used + 1) * 4 > slots.count * 3 { return rebuild(for: notices, from: first) }
    guard let notice = notices[place] else { return }
    put(place, notice.keyHash)
  }

  /// Rebuilds the table with the size that the list from `first` on needs.
  mutating func rebuild(for notices: [EncodedNotice?], from first: Int) {
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
