// SPDX-License-Identifier: Apache-2.0
internal import CXXHash
internal import ChangeStreamCache
internal import Glibc

/// The filter of a watch: the answers that it is about. Immutable; equal filters of one worker's watches share one
/// object.
///
/// Keys and prefixes are stored in one buffer. Items that a prefix covers are left out, so that at most one item
/// matches a key.
final class WatchFilter: Sendable {
  let selectors: SelectorSet
  /// The entities of ``selectors``.
  let entities: [ServedEntity]
  /// The items in order: first the keys, then the prefixes, each kind sorted.
  private let bytes: [UInt8]
  /// The end of each item in ``bytes``.
  private let ends: [UInt32]
  private let keyCount: Int

  /// Makes a filter. Copies keys and prefixes, in the time that it takes to sort them.
  ///
  /// - Parameters:
  ///   - selectors: the selectors by which the answers are looked up.
  ///   - keys: the wanted keys.
  ///   - prefixes: the prefixes of wanted keys. With neither keys nor prefixes, every key is wanted.
  init(
    selectors: SelectorSet, keys: [UnsafeRawBufferPointer] = [], prefixes: [UnsafeRawBufferPointer] = []
  ) {
    self.selectors = selectors
    entities = selectors.entities
    var kept: [UnsafeRawBufferPointer] = []
    for prefix in prefixes.sorted(by: { compare($0, $1) < 0 }) {
      // In sorted order, the prefixes that another one covers follow it.
      if let last = kept.last, prefix.starts(with: last) { continue }
      kept.append(prefix)
    }
    var items: [UnsafeRawBufferPointer] = []
    for key in keys.sorted(by: { compare($0, $1) < 0 }) {
      if let last = items.last, compare(last, key) == 0 { continue }
      // Because no prefix covers another, only the last prefix that is not after the key can cover it.
      let place = kept.firstPlace { compare($0, key) > 0 }
      if place > 0, key.starts(with: kept[place - 1]) { continue }
      items.append(key)
    }
    keyCount = items.count
    items += kept
    var bytes: [UInt8] = []
    bytes.reserveCapacity(items.reduce(0) { $0 + $1.count })
    var ends: [UInt32] = []
    ends.reserveCapacity(items.count)
    for item in items {
      bytes.append(contentsOf: item)
      ends.append(UInt32(bytes.count))
    }
    self.bytes = bytes
    self.ends = ends
  }

  /// The number of keys and prefixes.
  var itemCount: Int { ends.count }

  /// Whether every key of its selectors is wanted.
  var isUnrestricted: Bool { ends.isEmpty }

  /// Whether an item is a prefix rather than a key.
  func isPrefix(_ item: Int) -> Bool { item >= keyCount }

  /// Calls a function with the bytes of an item.
  func withItem<Result>(_ item: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    bytes.withUnsafeBytes { body(slice($0, item)) }
  }

  /// The memory of the filter in bytes, without its entries in an index.
  var byteCount: Int { bytes.count + 4 * ends.count + 160 }

  /// Whether an answer is wanted. Takes the time of a binary search.
  func includes(_ entity: ServedEntity, _ key: LookupKey) -> Bool {
    guard selectors.contains(entity, space: key.space) else { return false }
    if isUnrestricted { return true }
    return key.bytes.withUnsafeBytes { key in
      bytes.withUnsafeBytes { bytes in
        let place = firstItem(after: key, in: 0..<keyCount, bytes)
        if place > 0, compare(slice(bytes, place - 1), key) == 0 { return true }
        let prefix = firstItem(after: key, in: keyCount..<ends.count, bytes)
        return prefix > keyCount && key.starts(with: slice(bytes, prefix - 1))
      }
    }
  }

  /// A hash of all that ``isEqual(to:)`` compares.
  var contentHash: UInt64 {
    bytes.withUnsafeBytes { bytes in
      ends.withUnsafeBytes { ends in
        let seed = UInt64(selectors.bits) << 32 | UInt64(keyCount)
        return XXH3_64bits_withSeed(
          bytes.baseAddress, bytes.count, XXH3_64bits_withSeed(ends.baseAddress, ends.count, seed))
      }
    }
  }

  /// Whether both filters want the same answers.
  func isEqual(to other: WatchFilter) -> Bool {
    selectors == other.selectors && keyCount == other.keyCount && ends == other.ends && bytes == other.bytes
  }

  private func firstItem(after key: UnsafeRawBufferPointer, in range: Range<Int>, _ bytes: UnsafeRawBufferPointer)
    -> Int
  {
    var (low, high) = (range.lowerBound, range.upperBound)
    while low < high {
      let middle = (low + high) / 2
      if compare(slice(bytes, middle), key) > 0 { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private func slice(_ bytes: UnsafeRawBufferPointer, _ item: Int) -> UnsafeRawBufferPointer {
    let start = item == 0 ? 0 : Int(ends[item - 1])
    return UnsafeRawBufferPointer(rebasing: bytes[start..<Int(ends[item])])
  }
}

/// Compares bytes in lexicographic order: negative if `left` comes first, 0 if they are equal.
private func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
  if let start = left.baseAddress, let other = right.baseAddress {
    let order = memcmp(start, other, min(left.count, right.count))
    if order != 0 { return Int(order) }
  }
  return left.count - right.count
}

extension [UnsafeRawBufferPointer] {
  /// The first index of a sorted list whose element fulfils `isAfter`; the count if there is none.
  fileprivate func firstPlace(where isAfter: (UnsafeRawBufferPointer) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isAfter(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
