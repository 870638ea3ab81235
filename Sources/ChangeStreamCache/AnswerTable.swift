internal import CXXHash
internal import Core
internal import Glibc

/// Key bytes to answers: the read side of a cache. Any thread.
///
/// Open addressing in shards, each under a lock of its own that is held for a few dozen instructions and never during
/// I/O. Hashes are seeded per process: nobody outside can choose keys that collide.
final class AnswerTable: Sendable {
  private static let shardCount = 64
  private let seed = UInt64.random(in: .min ... .max)
  private let shards: [Locked<AnswerShard>]

  init() {
    shards = (0..<Self.shardCount).map { _ in Locked(AnswerShard()) }
  }

  func answer(space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Answer? {
    let hash = hash(space, bytes)
    return shards[shard(of: hash)].withLock { $0.find(hash, space, bytes) }
  }

  func answer(_ key: LookupKey) -> Answer? {
    key.bytes.withUnsafeBytes { answer(space: key.space, $0) }
  }

  /// Puts `answer` in the place of what the key answered; nil takes it away.
  func set(_ key: LookupKey, _ answer: Answer?) {
    key.bytes.withUnsafeBytes { bytes in
      let hash = hash(key.space, bytes)
      shards[shard(of: hash)].withLock { shard in
        if let answer {
          shard.insert(hash, answer)
        } else {
          shard.remove(hash, key.space, bytes)
        }
      }
    }
  }

  private func hash(_ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, seed &+ UInt64(space))
  }

  /// The top bits choose the shard, the lower ones the place in it.
  private func shard(of hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash >> 58)
  }
}

/// A hash table with linear probing, at most half full; removal closes the gap, so there are no tombstones.
private struct AnswerShard: Sendable {
  private var slots: [(hash: UInt64, answer: Answer?)] = Array(repeating: (0, nil), count: 8)
  private var count = 0

  private var mask: Int { slots.count - 1 }

  func find(_ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Answer? {
    guard let place = place(hash, space, bytes) else { return nil }
    return slots[place].answer
  }

  mutating func insert(_ hash: UInt64, _ answer: Answer) {
    if let place = answer.key.bytes.withUnsafeBytes({ place(hash, answer.key.space, $0) }) {
      slots[place].answer = answer
      return
    }
    if (count + 1) * 2 > slots.count { grow() }
    add(hash, answer)
    count += 1
  }

  mutating func remove(_ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer) {
    guard var gap = place(hash, space, bytes) else { return }
    slots[gap] = (0, nil)
    count -= 1
    // Move back each follower that the gap would hide from a probe that starts at or before the gap.
    var next = (gap + 1) & mask
    while slots[next].answer != nil {
      let home = Int(truncatingIfNeeded: slots[next].hash) & mask
      if (next &- home) & mask >= (next &- gap) & mask {
        slots[gap] = slots[next]
        slots[next] = (0, nil)
        gap = next
      }
      next = (next + 1) & mask
    }
  }

  private func place(_ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Int? {
    var place = Int(truncatingIfNeeded: hash) & mask
    while let answer = slots[place].answer {
      if slots[place].hash == hash, answer.key.space == space, answer.key.bytes.areEqual(to: bytes) { return place }
      place = (place + 1) & mask
    }
    return nil
  }

  private mutating func add(_ hash: UInt64, _ answer: Answer) {
    var place = Int(truncatingIfNeeded: hash) & mask
    while slots[place].answer != nil { place = (place + 1) & mask }
    slots[place] = (hash, answer)
  }

  private mutating func grow() {
    let old = slots
    slots = Array(repeating: (0, nil), count: old.count * 2)
    for slot in old {
      if let answer = slot.answer { add(slot.hash, answer) }
    }
  }
}

extension [UInt8] {
  /// By `memcmp`: a loop over bytes was a fifth of a look into the table.
  fileprivate func areEqual(to bytes: UnsafeRawBufferPointer) -> Bool {
    guard count == bytes.count, let start = bytes.baseAddress else { return isEmpty && bytes.isEmpty }
    return memcmp(self, start, count) == 0
  }
}
