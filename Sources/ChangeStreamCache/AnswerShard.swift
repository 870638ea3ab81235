internal import CLinux
internal import Core
internal import Synchronization

/// A part of an ``AnswerTable``: linear probing, at most half full; removal closes the gap, so there are no tombstones.
///
/// Whoever holds the lock may read and write. A reader of ``GracePeriods`` that has begun may read without it: what it
/// finds is right; what it does not find may have been on its way from one place to another, so it looks again under
/// the lock where something has been moved meanwhile.
struct AnswerShard: ~Copyable, Sendable {
  private let gracePeriods: GracePeriods
  /// How many answers there are.
  private let count = Locked(0)
  /// Holds a reference, as does each slot.
  private let slots: Atomic<Unmanaged<AnswerSlots>>
  /// Odd while answers are moved.
  private let moves = Atomic<UInt64>(0)

  init(_ gracePeriods: GracePeriods) {
    self.gracePeriods = gracePeriods
    slots = Atomic(.passRetained(AnswerSlots(capacity: 8)))
  }

  deinit {
    slots.load(ordering: .relaxed).release()
  }

  func lend(_ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Unmanaged<Answer>? {
    let before = moves.load(ordering: .acquiring)
    if let found = slots.load(ordering: .acquiring)._withUnsafeGuaranteedRef({ $0.find(hash, space, bytes) }) {
      return found.answer
    }
    atomicMemoryFence(ordering: .acquiring)
    if before & 1 == 0, moves.load(ordering: .relaxed) == before { return nil }
    // The lock keeps it in place while it is looked for; the reader, afterwards.
    return answer(hash, space, bytes).map(Unmanaged.passUnretained)
  }

  /// Has near what ``prefetchAnswer(_:)`` will look at.
  func prefetchSlot(_ hash: UInt64) {
    slots.load(ordering: .acquiring)._withUnsafeGuaranteedRef { $0.prefetchSlot(hash) }
  }

  /// Has near what ``lend(_:_:_:)`` will look at. For a reader that has begun.
  func prefetchAnswer(_ hash: UInt64) {
    slots.load(ordering: .acquiring)._withUnsafeGuaranteedRef { $0.prefetchAnswer(hash) }
  }

  func answer(_ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Answer? {
    count.withLock { _ in current.find(hash, space, bytes)?.answer.takeUnretainedValue() }
  }

  func insert(_ hash: UInt64, _ answer: Answer) {
    retire(
      count.withLock { count in
        let known = answer.key.bytes.withUnsafeBytes { current.find(hash, answer.key.space, $0) }
        if let known { return [current.put(hash, answer, at: known.place)].compactMap { $0 } }
        let old = current
        let isFull = (count + 1) * 2 > old.capacity
        if isFull { replace(by: old.copy(capacity: old.capacity * 2)) }
        current.add(hash, answer)
        count += 1
        return isFull ? [old] : []
      })
  }

  func remove(_ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer) {
    retire(
      count.withLock { count in
        guard let known = current.find(hash, space, bytes) else { return [] }
        count -= 1
        moves.add(1, ordering: .relaxed)
        // Who sees an answer moved sees that number, too.
        atomicMemoryFence(ordering: .releasing)
        defer { moves.add(1, ordering: .releasing) }
        return [current.remove(at: known.place)].compactMap { $0 }
      })
  }

  /// Under the lock only.
  private var current: AnswerSlots { slots.load(ordering: .relaxed).takeUnretainedValue() }

  /// The old ones stay as they are, for those that look at them.
  private func replace(by new: AnswerSlots) {
    slots.exchange(.passRetained(new), ordering: .acquiringAndReleasing).release()
  }

  private func retire(_ objects: [any Retired]) {
    if !objects.isEmpty { gracePeriods.retire(objects) }
  }
}

/// The slots of a shard. One thread changes them at a time; others may read them meanwhile.
private final class AnswerSlots: Sendable {
  private struct Slot: ~Copyable {
    let hash = Atomic<UInt64>(0)
    /// Holds a reference.
    let answer = Atomic<Unmanaged<Answer>?>(nil)
  }

  let capacity: Int
  // Safe to share: the pointer never changes, and what it points to are atomics.
  private nonisolated(unsafe) let slots: UnsafeMutablePointer<Slot>

  private var mask: Int { capacity - 1 }

  /// `capacity` is a power of two.
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
  ) -> (place: Int, answer: Unmanaged<Answer>)? {
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

  /// Nearly always the first slot is the right one.
  func prefetchAnswer(_ hash: UInt64) {
    guard let answer = slots[Int(truncatingIfNeeded: hash) & mask].answer.load(ordering: .acquiring) else { return }
    let start = answer.toOpaque()
    for line in 0..<Answer.cacheLines { configlookup_prefetch(start + 64 * line) }
  }

  /// Gives what was there.
  func put(_ hash: UInt64, _ answer: Answer, at place: Int) -> Answer? {
    slots[place].hash.store(hash, ordering: .relaxed)
    return slots[place].answer.exchange(.passRetained(answer), ordering: .acquiringAndReleasing)?.takeRetainedValue()
  }

  /// Adds what is not there yet; there must be room.
  func add(_ hash: UInt64, _ answer: Answer) {
    var place = Int(truncatingIfNeeded: hash) & mask
    while slots[place].answer.load(ordering: .relaxed) != nil { place = (place + 1) & mask }
    _ = put(hash, answer, at: place)
  }

  /// Gives what was there. Moves back each follower that the gap would hide from a probe that starts at or before it.
  func remove(at place: Int) -> Answer? {
    let removed = slots[place].answer.load(ordering: .relaxed)
    var gap = place
    var next = (gap + 1) & mask
    while let answer = slots[next].answer.load(ordering: .relaxed) {
      let hash = slots[next].hash.load(ordering: .relaxed)
      let home = Int(truncatingIfNeeded: hash) & mask
      if (next &- home) & mask >= (next &- gap) & mask {
        // For a moment in both places: whoever looks finds the answer.
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
