// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

struct ChangeQueueTests {
  private func update(_ revision: UInt64) -> DocumentChange {
    DocumentChange(.updateLookedUp(nil), id: nil, revision: Revision(revision))
  }

  private func delete(_ revision: UInt64) -> DocumentChange {
    DocumentChange(.delete, id: nil, revision: Revision(revision))
  }

  private func add(_ change: DocumentChange, _ id: String, at time: UInt64, to queue: inout ChangeQueue) {
    queue.append(change, of: DocumentID(id), nil, lookupBound: LookupBound(Revision(time)), mayMove: false)
  }

  private func released(_ queue: inout ChangeQueue, upTo revision: UInt64) -> [UInt64] {
    queue.release(upTo: Revision(revision)).map(\.change.revision.rawValue)
  }

  @Test func anUpdateThatIsPassedOverGoesWithTheOneThatStandsForIt() {
    var queue = ChangeQueue()
    add(update(5), "a", at: 9, to: &queue)
    add(delete(6), "b", at: 9, to: &queue)
    add(update(7), "a", at: 12, to: &queue)
    #expect(queue.lowest == Revision(5))
    #expect(released(&queue, upTo: 9) == [], "what made the first is not known, and the second is not settled")
    #expect(released(&queue, upTo: 11) == [])
    add(delete(12), "c", at: 12, to: &queue)
    #expect(released(&queue, upTo: 12) == [6, 7, 12])
    #expect(queue.isEmpty && queue.lowest == nil)
  }

  @Test func anUpdateThatWasSettledBeforeTheNextIsShown() {
    var queue = ChangeQueue()
    add(update(5), "a", at: 9, to: &queue)
    add(update(10), "a", at: 14, to: &queue)
    #expect(released(&queue, upTo: 9) == [5])
    #expect(queue.lowest == Revision(10))
  }

  @Test func aWaitWithoutAChangeSettlesOnlyWhatWaits() {
    var queue = ChangeQueue()
    add(update(5), "a", at: 9, to: &queue)
    queue.settle(upTo: Revision(8))
    #expect(released(&queue, upTo: 4) == [], "it may have been looked up as of 9")
    queue.settle(upTo: Revision(9))
    #expect(released(&queue, upTo: 4) == [5])
    // This document was also looked up as of 9, and later: by then the next change of the document may have been
    // visible.
    add(update(6), "a", at: 9, to: &queue)
    #expect(released(&queue, upTo: 5) == [])
    add(delete(7), "a", at: 9, to: &queue)
    #expect(released(&queue, upTo: 6) == [], "other deletions may share its revision")
    #expect(released(&queue, upTo: 7) == [7], "what made the first is not known: the second stands for it")
  }

  @Test func whatSharesARevisionGoesTogether() {
    var queue = ChangeQueue()
    queue.append(
      DocumentChange(.delete, id: nil, revision: Revision(5), isInTransaction: true), of: DocumentID("a"), nil,
      lookupBound: LookupBound(Revision(5)), mayMove: false)
    add(update(5), "b", at: 9, to: &queue)
    #expect(released(&queue, upTo: 5) == [])
    #expect(released(&queue, upTo: 9) == [5, 5])
  }

  /// Compares random histories with a simple rule: each change is in the past of the queue's reader completely or not
  /// at all.
  @Test func randomChangesComeInOrderAndNoneIsLeftBehind() {
    var random = SeededRandom.fresh("changes that wait")
    for _ in 0..<300 {
      var queue = ChangeQueue()
      var revision: UInt64 = 0
      var moment: UInt64 = 0
      var added: [(revision: UInt64, id: Int, isUpdate: Bool, until: UInt64)] = []
      var gone: [UInt64] = []
      for _ in 0..<60 {
        revision += UInt64.random(in: 1...3, using: &random)
        moment = max(moment, revision) + UInt64.random(in: 0...3, using: &random)
        let id = Int.random(in: 0..<3, using: &random)
        let isUpdate = Bool.random(using: &random)
        gone += released(&queue, upTo: revision - 1)
        add(isUpdate ? update(revision) : delete(revision), "\(id)", at: moment, to: &queue)
        added.append((revision, id, isUpdate, isUpdate ? moment : 0))
      }
      gone += released(&queue, upTo: moment)
      let shown = added.filter { change in
        !change.isUpdate
          || !added.contains { $0.id == change.id && $0.revision > change.revision && $0.revision <= change.until }
      }
      #expect(gone == shown.map(\.revision), "seed \(random.seed)")
      #expect(queue.isEmpty)
    }
  }
}
