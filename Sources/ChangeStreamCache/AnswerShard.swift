// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import ConfigLookupCore
internal import Synchronization

/// One shard of an ``AnswerTable``: a hash table with linear probing that is at most half full. A removal closes the
/// gap, so the only tombstones are those that readers of earlier publications need.
///
/// Reads and writes under the lock see everything. A reader that has entered may search without the lock. What it finds
/// is correct. What it does not find may have been moved from one slot to another during the search, so it searches
/// again under the lock if any answer was moved meanwhile.
struct AnswerShard: ~Copyable, Sendable {
  enum Found {
    case found(CachedAnswer)
    case notFound
    /// The search ended at an answer of a later publication that has no link to the previous answer.
    case cut
  }

  private let reclaimer: Reclaimer
  /// The number of occupied slots. The lock around it is the lock of the shard.
  private let count = Locked(0)
  /// The current slots, as a retained reference. Each slot retains its answer, too.
  private let slots: Atomic<Unmanaged<AnswerSlots>>
  /// Odd while answers are being moved.
  private let moves = Atomic<UInt64>(0)

  init(_ reclaimer: Reclaimer) {
    self.reclaimer = reclaimer
    slots = Atomic(.passRetained(AnswerSlots(capacity: 8)))
  }

  deinit {
    slots.load(ordering: .relaxed).release()
  }

  @inline(__always)
  func find(
    _ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer, asOf publication: UInt64
  ) -> Unmanaged<CachedAnswer>? {
    let before = moves.load(ordering: .acquiring)
    if let found = slots.load(ordering: .acquiring)._withUnsafeGuaranteedRef({ $0.find(hash, space, bytes) }) {
      return found.answer.asOf(publication)
    }
    atomicMemoryFence(ordering: .acquiring)
    if before & 1 == 0, moves.load(ordering: .relaxed) == before { return nil }
    // The lock keeps the answer in place during the search; the reader's epoch keeps it afterwards.
    return count.withLock { _ in current.find(hash, space, bytes)?.answer }?.asOf(publication)
  }

  /// Prefetches the slot that ``prefetchAnswer(_:)`` will read.
  func prefetchSlot(_ hash: UInt64) {
    slots.load(ordering: .acquiring)._withUnsafeGuaranteedRef { $0.prefetchSlot(hash) }
  }

  /// Prefetches the answer that ``find(_:_:_:asOf:)`` will read. The caller must be a reader that has entered.
  func prefetchAnswer(_ hash: UInt64) {
    slots.load(ordering: .acquiring)._withUnsafeGuaranteedRef { $0.prefetchAnswer(hash) }
  }

  func answer(
    _ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer, asOf publication: UInt64
  ) -> Found {
    count.withLock { _ in
      guard var answer = current.find(hash, space, bytes)?.answer.takeUnretainedValue() else { return .notFound }
      while answer.publication > publication {
        guard let before = answer.answerBefore else { return .cut }
        answer = before.takeUnretainedValue()
      }
      return answer.isGone ? .notFound : .found(answer)
    }
  }

  // MARK: The writer

  func latest(_ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> CachedAnswer? {
    count.withLock { _ in
      let answer = current.find(hash, space, bytes)?.answer.takeUnretainedValue()
      return answer?.isGone == true ? nil : answer
    }
  }

  func store(_ hash: UInt64, _ answer: CachedAnswer) {
    let outgrown: AnswerSlots? = count.withLock { count in
      let known = answer.key.bytes.withUnsafeBytes { current.find(hash, answer.key.space, $0) }
      if let known {
        // The link keeps the old answer for readers of earlier publications.
        answer.link(to: known.answer.takeUnretainedValue())
        current.put(hash, answer, at: known.place)
        return nil
      }
      let old = current
      let isFull = (count + 1) * 2 > old.capacity
      if isFull { replace(by: old.copy(capacity: old.capacity * 2)) }
      current.add(hash, answer)
      count += 1
      return isFull ? old : nil
    }
    if let outgrown { reclaimer.retire([outgrown]) }
  }

  /// Removes the previous answer, which no reader needs any more. If `answer` marks the key as gone, its slot is freed,
  /// too.
  func settle(_ hash: UInt64, _ answer: CachedAnswer) {
    // The answers are released outside the lock, because freeing a document takes time.
    let (_, removed): (CachedAnswer?, CachedAnswer?) = count.withLock { count in
      let before = answer.cutPrevious()
      guard answer.isGone else { return (before, nil) }
      let known = answer.key.bytes.withUnsafeBytes { current.find(hash, answer.key.space, $0) }
      guard let known, known.answer.takeUnretainedValue() === answer else { return (before, nil) }
      count -= 1
      moves.add(1, ordering: .relaxed)
      // A reader that sees a moved answer sees this odd number, too.
      atomicMemoryFence(ordering: .releasing)
      defer { moves.add(1, ordering: .releasing) }
      return (before, current.remove(at: known.place))
    }
    // A reader may have found this answer and may be about to read its `isGone`.
    if let removed { reclaimer.retire([removed]) }
  }

  /// The current slots. To be used under the lock only.
  private var current: AnswerSlots { slots.load(ordering: .relaxed).takeUnretainedValue() }

  /// Replaces the slots. The old ones stay unchanged for readers that still search them.
  private func replace(by new: AnswerSlots) {
    slots.exchange(.passRetained(new), ordering: .acquiringAndReleasing).release()
  }
}

extension Unmanaged<CachedAnswer> {
  /// Follows the links from the latest answer to the one that readers of `publication` see; nil if there is none. The
  /// caller must be a reader that has entered.
  @inline(__always)
  fileprivate func asOf(_ publication: UInt64) -> Unmanaged<CachedAnswer>? {
    var answer = self
    while answer._withUnsafeGuaranteedRef({ $0.publication > publication }) {
      guard let before = answer._withUnsafeGuaranteedRef({ $0.answerBefore }) else { return nil }
      answer = before
    }
    return answer._withUnsafeGuaranteedRef({ $0.isGone }) ? nil : answer
  }
}

/// The slots of a shard. One thread at a time changes them; other threads may read them meanwhile.
private final class AnswerSlots: Reclaimable {
  private struct Slot: ~Copyable {
    let hash = Atomic<UInt64>(0)
    /// The answer of the slot, as a retained reference.
    let answer = Atomic<Unmanaged<CachedAnswer>?>(nil)
  }

  let capacity: Int
  // Safe to share: the pointer never changes, and the memory that it points to consists of atomics.
  private nonisolated(unsafe) let slots: UnsafeMutablePointer<Slot>

  private var mask: Int { capacity - 1 }

  /// Creates empty slots. `capacity` must be a power of two.
  init(capacity: Int) {
    self.capacity = capacity
    slots = .allocate(capacity: capacity)
    for place in 0..<capacity { (slots + place).initialize(to: Slot()) }
  }

  deinit {
    for place in 0..<capacity { slots[place].answer.load(ordering: .relaxed)?.release() }
    slots.deinitialize(count: capacity)
    slots.deallocate()
  }

  @inline(__always)
  func find(
    _ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer
  ) -> (place: Int, answer: Unmanaged<CachedAnswer>)? {
    var place = Int(truncatingIfNeeded: hash) & mask
    while let answer = slots[place].answer.load(ordering: .acquiring) {
      if slots[place].hash.load(ordering: .relaxed) == hash,
        answer._withUnsafeGuaranteedRef({ $0.answers(space, bytes) })
      {
        return (place, answer)
      }
      place = (place + 1) & mask
    }
    return nil
  }

  func prefetchSlot(_ hash: UInt64) {
    configlookup_prefetch(slots + Int(truncatingIfNeeded: hash) & mask)
  }

  /// Prefetches the answer of the first slot, which is the right one in nearly all cases.
  func prefetchAnswer(_ hash: UInt64) {
    guard let answer = slots[Int(truncatingIfNeeded: hash) & mask].answer.load(ordering: .acquiring) else { return }
    let start = answer.toOpaque()
    for line in 0..<CachedAnswer.cacheLines { configlookup_prefetch(start + 64 * line) }
  }

  /// Replaces the answer of a slot. The old answer must have another reference.
  func put(_ hash: UInt64, _ answer: CachedAnswer, at place: Int) {
    slots[place].hash.store(hash, ordering: .relaxed)
    slots[place].answer.exchange(.passRetained(answer), ordering: .acquiringAndReleasing)?.release()
  }

  /// Adds an answer for a key that has none. There must be a free slot.
  func add(_ hash: UInt64, _ answer: CachedAnswer) {
    var place = Int(truncatingIfNeeded: hash) & mask
    while slots[place].answer.load(ordering: .relaxed) != nil { place = (place + 1) & mask }
    put(hash, answer, at: place)
  }

  /// Removes and returns the answer of a slot. Each following answer whose probe sequence starts at or before the gap
  /// is moved back, so that the gap does not hide it.
  func remove(at place: Int) -> CachedAnswer? {
    let removed = slots[place].answer.load(ordering: .relaxed)
    var gap = place
    var next = (gap + 1) & mask
    while let answer = slots[next].answer.load(ordering: .relaxed) {
      let hash = slots[next].hash.load(ordering: .relaxed)
      let home = Int(truncatingIfNeeded: hash) & mask
      if (next &- home) & mask >= (next &- gap) & mask {
        // For a moment the answer is in both slots, so every reader finds it.
        slots[gap].hash.store(hash, ordering: .relaxed)
        slots[gap].answer.store(answer, ordering: .releasing)
        gap = next
      }
      next = (next + 1) & mask
    }
    slots[gap].answer.store(nil, ordering: .releasing)
    return removed?.takeRetainedValue()
  }

  func copy(capacity: Int) -> AnswerSlots {
    let copy = AnswerSlots(capacity: capacity)
    for place in 0..<self.capacity {
      guard let answer = slots[place].answer.load(ordering: .relaxed) else { continue }
      copy.add(slots[place].hash.load(ordering: .relaxed), answer.takeUnretainedValue())
    }
    return copy
  }
}
