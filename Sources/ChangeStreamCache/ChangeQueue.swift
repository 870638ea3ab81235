// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// Holds the changes of a stream in order until each can be published exactly as of its revision.
///
/// Where the collection has no post-images, an update event carries the document that `updateLookup` read when the
/// event was delivered: at some moment between the change and the reply that contains it. Published at once, this
/// document might be newer than its revision, and newer than changes that are still to be received. So the change waits
/// until the stream has passed the moment of the reply. If no other change of the document has been received up to
/// there, the looked-up document is the document as of the update. Otherwise the result of the update is unknown; the
/// update is passed over, and the change that followed stands for both. A change that may share its revision with
/// others waits for them. Later changes wait behind it, because the cache must show the collection as of one
/// revision, never a mixture.
///
/// The moment of a lookup is no later than the ``LookupBound`` of the reply that contains the document.
struct ChangeQueue: Sendable {
  /// A change that was released from the queue and can be published.
  struct Ready: Sendable {
    let id: DocumentID
    let change: DocumentChange
    /// The revision from which the result can be published. It is later than the change if an earlier change was passed
    /// over: then it is at most the revision of the change that stands for that one.
    fileprivate(set) var revision: Revision
    fileprivate(set) var reading: Reading?
    /// Whether the change stands for earlier changes whose results this server never saw. Another server may have
    /// served them.
    fileprivate(set) var standsForOthers = false
    /// Whether one of those earlier changes may have moved the document to an unknown key.
    fileprivate(set) var mayHaveMoved = false
  }

  private struct Waiting: Sendable {
    var ready: Ready
    /// Whether the change is an update with a looked-up document that may have moved it to another key.
    let mayMove: Bool
    /// The revision that the stream must pass before the change can be released.
    var until: Revision
    /// The number of the change that stands for this one.
    var successor: Int?
  }

  private var waiting: [Waiting] = []
  /// The index of the first change that has not been released.
  private var first = 0
  /// The number of changes that were removed from the front of `waiting`. The number of a change counts from the first
  /// change ever.
  private var gone = 0
  /// The index of the first change that still has to wait for the stream.
  private var passed = 0
  /// The changes in front of `passed` can be released only together with all changes in front of this number.
  private var needed = 0
  /// The revision of the last received changes, if more changes of their transaction may follow although the stream
  /// seems to have passed that revision.
  private(set) var openGroup: Revision?
  /// The number of the last change of each document.
  private var latest: [DocumentID: Int] = [:]

  var count: Int { waiting.count - first }
  var isEmpty: Bool { first == waiting.count }

  /// The revision of the first queued change.
  var lowest: Revision? { isEmpty ? nil : waiting[first].ready.change.revision }

  /// Adds a change of a document.
  ///
  /// - Parameters:
  ///   - lookupBound: the bound of the lookups of the reply that contained the change.
  ///   - mayMove: whether the document was looked up, and the update may have moved it to another key.
  ///   - isLate: whether the revision was reported, or counted as observed, before the change was received.
  mutating func append(
    _ change: DocumentChange, of id: DocumentID, _ reading: Reading?, lookupBound: LookupBound, mayMove: Bool,
    isLate: Bool = false
  ) {
    openGroup = change.mayShareRevision && isLate ? change.revision : nil
    let number = gone + waiting.count
    var ready = Ready(id: id, change: change, revision: change.revision, reading: reading)
    if let before = latest[id].map({ $0 - gone }), waiting[before].ready.change.isLookedUp,
      change.revision <= waiting[before].until
    {
      ready.standsForOthers = true
      ready.mayHaveMoved = waiting[before].ready.mayHaveMoved || waiting[before].mayMove
      waiting[before].successor = number
      waiting[before].until = .none
      waiting[before].ready.reading = nil
      if before < passed { needed = number + 1 }
    }
    var until = change.mayShareRevision ? change.revision : .none
    // If the bound is the revision of the update itself, nothing had happened since, so the looked-up document is the
    // result of the update.
    if change.isLookedUp, lookupBound.revision > change.revision { until = lookupBound.revision }
    latest[id] = number
    waiting.append(Waiting(ready: ready, mayMove: mayMove, until: until))
  }

  /// Records an empty reply: the group of the last change is complete.
  mutating func endGroup() {
    openGroup = nil
  }

  /// Advances the lookup watermark of the queued changes: a document that was read by `updateLookup` before, at or
  /// before `revision`, contains no change that the stream has not delivered.
  ///
  /// Changes that are queued later are not affected. Their documents may be read later, when changes up to `revision`
  /// are visible that the stream has not delivered.
  ///
  /// - Parameter revision: the watermark.
  mutating func settle(upTo revision: Revision) {
    for index in passed..<waiting.count where waiting[index].until <= revision { waiting[index].until = .none }
  }

  /// Releases changes after every change up to `revision` has been received.
  ///
  /// - Returns: the released changes, in order.
  mutating func release(upTo revision: Revision) -> [Ready] {
    var end = first
    while passed < waiting.count, waiting[passed].until <= revision,
      openGroup == nil || waiting[passed].ready.change.revision != openGroup
    {
      if let successor = waiting[passed].successor { needed = max(needed, successor + 1) }
      passed += 1
      // Changes of the same revision are published together.
      if passed < waiting.count, waiting[passed].ready.change.revision == waiting[passed - 1].ready.change.revision {
        needed = max(needed, gone + passed + 1)
      }
      if gone + passed >= needed { end = passed }
    }
    guard end > first else { return [] }
    let ready = ready(first..<end)
    first = end
    forgetReleased()
    return ready
  }

  private mutating func ready(_ range: Range<Int>) -> [Ready] {
    var ready: [Ready] = []
    // Between a change that is passed over and the one that stands for it the state is unknown. Changes of one revision
    // take effect together.
    var unknownUntil = -1
    var unknownFrom = 0
    for index in range {
      let (entry, revision) = (waiting[index], waiting[index].ready.change.revision)
      if latest[entry.ready.id] == gone + index { latest[entry.ready.id] = nil }
      if let successor = entry.successor {
        if unknownUntil < index {
          unknownFrom = ready.count - ready.reversed().prefix { $0.change.revision == revision }.count
        }
        unknownUntil = max(unknownUntil, successor - gone)
      } else {
        ready.append(entry.ready)
      }
      guard index == unknownUntil else { continue }
      if index + 1 < range.upperBound, waiting[index + 1].ready.change.revision == revision {
        unknownUntil += 1
      } else {
        for place in unknownFrom..<ready.count { ready[place].revision = revision }
      }
    }
    return ready
  }

  mutating func removeAll() {
    self = ChangeQueue()
  }

  private mutating func forgetReleased() {
    guard isEmpty || first > 64 && first * 2 > waiting.count else { return }
    waiting.removeFirst(first)
    gone += first
    passed -= first
    first = 0
  }
}

extension DocumentChange {
  fileprivate var isLookedUp: Bool {
    if case .updateLookedUp = operation { true } else { false }
  }
}
