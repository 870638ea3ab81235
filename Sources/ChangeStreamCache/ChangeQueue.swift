internal import BSON
internal import Core

/// The changes of a stream, in order, until each can be shown exactly as of its revision.
///
/// Where the database keeps no images of documents, an update brings the document as looked up when the change was
/// delivered: at some moment between the change and the reply that brought it. Shown at once it would be newer than it
/// says, and newer than changes still to come. So it waits until the stream has passed the moment of the reply. If no
/// other change of the document has come up to there, what was looked up is the document as of the update. Otherwise
/// nobody can say what the update made; it is passed over, and the one that followed stands for both. A change that is
/// part of a transaction waits for the rest of it. What comes behind waits too: what the cache shows is the collection
/// as of one revision, never a mixture.
///
/// The moment of a lookup is no later than the operation time of the reply that brought it.
struct ChangeQueue: Sendable {
  /// A change whose turn it is.
  struct Ready: Sendable {
    let id: DocumentID
    let change: DocumentChange
    /// As of when what it makes can be shown: later than the change where one before it was passed over, up to the
    /// change that stands for that one.
    fileprivate(set) var revision: Revision
    fileprivate(set) var reading: Reading?
    /// It stands for changes before it whose states nobody here has seen; another server may have shown them.
    fileprivate(set) var standsForOthers = false
    /// One of those may have taken the document to a key that is not known.
    fileprivate(set) var mayHaveMoved = false
  }

  private struct Waiting: Sendable {
    var ready: Ready
    /// It is an update whose document was looked up, and which may have taken it to another key.
    let mayMove: Bool
    /// Ready once the stream has passed this.
    var until: Revision
    /// The number of the change that stands for this one.
    var successor: Int?
  }

  private var waiting: [Waiting] = []
  /// Those in front of it have had their turn.
  private var first = 0
  /// How many have left the front of `waiting` for good: numbers count from the first ever.
  private var gone = 0
  /// Those in front of it need not wait for the stream any more.
  private var passed = 0
  /// Those in front of `passed` can go together with all in front of this number, and not earlier.
  private var needed = 0
  /// Changes of this revision, which are the last that have come, may be followed by more of their transaction,
  /// although the stream seems to have passed it.
  private(set) var openGroup: Revision?
  /// The number of the last change of each document.
  private var latest: [DocumentID: Int] = [:]

  var count: Int { waiting.count - first }
  var isEmpty: Bool { first == waiting.count }

  /// The revision of the first change that waits.
  var lowest: Revision? { isEmpty ? nil : waiting[first].ready.change.revision }

  /// Adds a change of a document.
  ///
  /// - Parameters:
  ///   - operationTime: that of the reply which brought the change.
  ///   - mayMove: whether the document was looked up, and the update may have taken it to another key.
  ///   - isLate: whether the change's revision was reported, or taken for observed, before the change came.
  mutating func append(
    _ change: DocumentChange, of id: DocumentID, _ reading: Reading?, operationTime: Revision, mayMove: Bool,
    isLate: Bool = false
  ) {
    openGroup = change.isInTransaction && isLate ? change.revision : nil
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
    var until = change.isInTransaction ? change.revision : .none
    // A reply of the update's own time: nothing has happened since, so what was looked up is what the update made.
    if change.isLookedUp, operationTime > change.revision { until = operationTime }
    latest[id] = number
    waiting.append(Waiting(ready: ready, mayMove: mayMove, until: until))
  }

  /// Advances the lookup watermark of the queued changes after an empty reply: a document that was read by
  /// `updateLookup` before that reply, at or before `revision`, contains no change that the stream has not delivered.
  /// The last change's transaction is complete as well.
  ///
  /// Changes that are queued later are not affected. Their documents may be read later, when changes up to `revision`
  /// are visible that the stream has not delivered.
  ///
  /// - Parameter revision: the operation time that was known when the reply was requested.
  mutating func settle(upTo revision: Revision) {
    openGroup = nil
    for index in passed..<waiting.count where waiting[index].until <= revision { waiting[index].until = .none }
  }

  /// Every change up to `revision` has come: gives those whose turn it is, in order.
  mutating func release(upTo revision: Revision) -> [Ready] {
    var end = first
    while passed < waiting.count, waiting[passed].until <= revision,
      openGroup == nil || waiting[passed].ready.change.revision != openGroup
    {
      if let successor = waiting[passed].successor { needed = max(needed, successor + 1) }
      passed += 1
      // What shares a revision is shown together.
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
    // From a change that is passed over to the one that stands for it nobody can say what was so; and what shares a
    // revision is so together.
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
