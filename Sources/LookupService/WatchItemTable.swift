// SPDX-License-Identifier: Apache-2.0
/// A hash table with chaining. It finds the audiences that want a key, by a hash of the key or of a prefix of it.
///
/// It grows and shrinks by one bucket at a time (linear hashing: Litwin, VLDB 1980), so that no operation takes time in
/// proportion to the number of entries. Entries are kept contiguous, so that memory is freed when entries are removed.
/// An entry takes 20 bytes, its bucket 4. Not thread-safe.
struct WatchItemTable {
  private struct Entry: BitwiseCopyable {
    var hash: UInt32
    var audience: UInt32
    var item: UInt32
    /// The neighbours in the chain; -1 for none.
    var next: Int32
    var previous: Int32
  }

  /// The memory that an entry takes, with its bucket and the index that its owner stores.
  static let entryByteCount = MemoryLayout<Entry>.stride + 4 + 4

  private let entries = ChunkedList<Entry>()
  /// The first entry of each chain; -1 for none.
  private let buckets = ChunkedList<Int32>()
  /// The buckets before this index have been split in the current round, whose mask is `mask`.
  private var split = 0
  private var mask = 0

  init() {
    buckets.append(-1)
  }

  var count: Int { entries.count }

  /// Adds an entry.
  ///
  /// - Returns: its index, which changes only as ``remove(at:)`` describes.
  mutating func insert(_ hash: UInt32, audience: UInt32, item: UInt32) -> Int {
    let place = entries.count
    entries.append(Entry(hash: hash, audience: audience, item: item, next: -1, previous: -1))
    link(place)
    if entries.count > buckets.count { grow() }
    return place
  }

  /// Removes the entry at an index.
  ///
  /// - Returns: the audience and the item of the entry that was moved to this index; nil if none was.
  mutating func remove(at place: Int) -> (audience: UInt32, item: UInt32)? {
    unlink(place)
    let last = entries.count - 1
    var moved: (audience: UInt32, item: UInt32)?
    if place != last {
      let entry = entries[last]
      entries[place] = entry
      if entry.next >= 0 { entries[Int(entry.next)].previous = Int32(place) }
      if entry.previous >= 0 {
        entries[Int(entry.previous)].next = Int32(place)
      } else {
        buckets[bucket(of: entry.hash)] = Int32(place)
      }
      moved = (entry.audience, entry.item)
    }
    entries.removeLast()
    if buckets.count > 1, entries.count < buckets.count - 1 { shrink() }
    return moved
  }

  /// Calls `body` with each audience and item that has this hash.
  func forEach(_ hash: UInt32, _ body: (UInt32, UInt32) -> Void) {
    var place = buckets[bucket(of: hash)]
    while place >= 0 {
      let entry = entries[Int(place)]
      if entry.hash == hash { body(entry.audience, entry.item) }
      place = entry.next
    }
  }

  // MARK: Buckets

  private func bucket(of hash: UInt32) -> Int {
    let bucket = Int(hash) & mask
    return bucket < split ? Int(hash) & (mask << 1 | 1) : bucket
  }

  private func link(_ place: Int) {
    let bucket = bucket(of: entries[place].hash)
    let first = buckets[bucket]
    entries[place].next = first
    entries[place].previous = -1
    if first >= 0 { entries[Int(first)].previous = Int32(place) }
    buckets[bucket] = Int32(place)
  }

  private func unlink(_ place: Int) {
    let entry = entries[place]
    if entry.next >= 0 { entries[Int(entry.next)].previous = entry.previous }
    if entry.previous >= 0 {
      entries[Int(entry.previous)].next = entry.next
    } else {
      buckets[bucket(of: entry.hash)] = entry.next
    }
  }

  /// Splits the next bucket in two.
  private mutating func grow() {
    buckets.append(-1)
    var place = buckets[split]
    buckets[split] = -1
    split += 1
    while place >= 0 {
      let next = entries[Int(place)].next
      link(Int(place))
      place = next
    }
    if split > mask {
      mask = mask << 1 | 1
      split = 0
    }
  }

  /// Merges the last bucket into the one from which it was split.
  private mutating func shrink() {
    if split == 0 {
      mask >>= 1
      split = mask + 1
    }
    split -= 1
    var place = buckets[buckets.count - 1]
    buckets.removeLast()
    while place >= 0 {
      let next = entries[Int(place)].next
      link(Int(place))
      place = next
    }
  }
}
