internal import CLinux
internal import Core
internal import Synchronization

/// A part of an ``AnswerTable``: linear probing, at most half full; removal closes the gap, so there are no tombstones
/// but those that readers of an earlier publication need.
///
/// Under the lock everything may be read and written. A reader that has entered may read without it: what it finds is
/// right; what it does not find may have been on its way from one place to another, so it looks again under the lock
/// where something has been moved meanwhile.
struct AnswerShard: ~Copyable, Sendable {
  enum Found {
    case found(Answer)
    case notFound
    /// The search ended at an answer of a later publication without a link to the one before it.
    case cut
  }

  private let reclaimer: Reclaimer
  /// How many slots are taken.
  private let count = Locked(0)
  /// Holds a reference, as does each slot.
  private let slots: Atomic<Unmanaged<AnswerSlots>>
  /// Odd while answers are moved.
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
  ) -> Unmanaged<Answer>? {
    let before = moves.load(ordering: .acquiring)
    if let found = slots.load(ordering: .acquiring)._withUnsafeGuaranteedRef({ $0.find(hash, space, bytes) }) {
      return found.answer.asOf(publication)
    }
    atomicMemoryFence(ordering: .acquiring)
    if before & 1 == 0, moves.load(ordering: .relaxed) == before { return nil }
    // The lock keeps it in place while it is looked for; the reader, afterwards.
    return count.withLock { _ in current.find(hash, space, bytes)?.answer }?.asOf(publication)
  }

  /// Prefetches what ``prefetchAnswer(_:)`` will look at.
  func prefetchSlot(_ hash: UInt64) {
    slots.load(ordering: .acquiring)._withUnsafeGuaranteedRef { $0.prefetchSlot(hash) }
  }

  /// Prefetches what ``find(_:_:_:asOf:)`` will look at. For a reader that has entered.
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

  func latest(_ hash: UInt64, _ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Answer? {
    count.withLock { _ in
      let answer = current.find(hash, space, bytes)?.answer.takeUnretainedValue()
      return answer?.isGone == true ? nil : answer
    }
  }

  func store(_ hash: UInt64, _ answer: Answer) {
    let outgrown: AnswerSlots? = count.withLock { count in
      let known = answer.key.bytes.withUnsafeBytes { current.find(hash, answer.key.space, $0) }
      if let known {
        // The link keeps it for readers of earlier publications.
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

  /// No reader needs the answer before this one any more; nor, if it says that there is none, its place.
  func settle(_ hash: UInt64, _ answer: Answer) {
    // Released outside the lock: to free a document takes a while.
    let (_, removed): (Answer?, Answer?) = count.withLock { count in
      let before = answer.cutPrevious()
      guard answer.isGone else { return (before, nil) }
      let known = answer.key.bytes.withUnsafeBytes { current.find(hash, answer.key.space, $0) }
      guard let known, known.answer.takeUnretainedValue() === answer else { return (before, nil) }
      count -= 1
      moves.add(1, ordering: .relaxed)
      // A reader that sees an answer moved sees that number, too.
      atomicMemoryFence(ordering: .releasing)
      defer { moves.add(1, ordering: .releasing) }
      return (before, current.remove(at: known.place))
    }
    // A reader may have found it, and be about to see that it is gone.
    if let removed { reclaimer.retire([removed]) }
  }

  /// Under the lock only.
  private var current: AnswerSlots { slots.load(ordering: .relaxed).takeUnretainedValue() }

  /// The old ones stay as they are, for those that look at them.
  private func replace(by new: AnswerSlots) {
    slots.exchange(.passRetained(new), ordering: .acquiringAndReleasing).release()
  }
}

extension Unmanaged<Answer> {
  /// The answer that readers of `publication` see, from the latest one on; nil for none. For a reader that has entered.
  @inline(__always)
  fileprivate func asOf(_ publication: UInt64) -> Unmanaged<Answer>? {
    var answer = self
    while answer._withUnsafeGuaranteedRef({ $0.publication > publication }) {
      guard let before = answer._withUnsafeGuaranteedRef({ $0.answerBefore }) else { return nil }
      answer = before
    }
    return answer._withUnsafeGuaranteedRef({ $0.isGone }) ? nil : answer
  }
}

/// The slots of a shard. One thread changes them at a time; others may read them meanwhile.
private final class AnswerSlots: Reclaimable {
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

  /// Replaces what is there by an answer that is also referenced elsewhere.
  func put(_ hash: UInt64, _ answer: Answer, at place: Int) {
    slots[place].hash.store(hash, ordering: .relaxed)
    slots[place].answer.exchange(.passRetained(answer), ordering: .acquiringAndReleasing)?.release()
  }

  /// Adds what is not there yet; there must be room.
  func add(_ hash: UInt64, _ answer: Answer) {
    var place = Int(truncatingIfNeeded: hash) & mask
    while slots[place].answer.load(ordering: .relaxed) != nil { place = (place + 1) & mask }
    put(hash, answer, at: place)
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
        // For a moment in both places: every reader finds the answer.
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
