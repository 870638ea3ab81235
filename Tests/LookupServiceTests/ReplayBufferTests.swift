// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// The range of exact replays: at the floor, one below it and one above it.
struct ReplayBufferTests {
  private func revisions(_ buffer: ReplayBuffer, since revision: UInt64, isNewcomer: Bool = false) -> [UInt64]? {
    guard let start = buffer.start(since: Revision(revision), isNewcomer: isNewcomer) else { return nil }
    // The buffer is read as a watch reads it: in parts, and without older notices.
    var revisions: [UInt64] = []
    for number in stride(from: start, to: buffer.endNumber, by: 3) {
      guard let notices = buffer.notices(from: number, limit: 3) else { return nil }
      revisions += notices.map(\.revision.rawValue).filter { $0 >= revision }
    }
    return revisions
  }

  /// A replay before an initial state ends with the publication of that state.
  @Test func aReplayEndsWithAPublication() {
    var buffer = ReplayBuffer(limit: 4)
    buffer.begin(after: Revision(10))
    #expect(buffer.endNumber(through: 0) == 0)
    for (revision, publication) in [(11, 1), (12, 2), (13, 2), (14, 4), (15, 5)] as [(UInt64, UInt64)] {
      buffer.append([bareNotice("k", revision, publication: publication)])
    }
    // The first notice has been dropped.
    #expect((1...6).map { buffer.endNumber(through: $0) } == [1, 3, 3, 4, 5, 5])
  }

  @Test func knowsNothingBeforeHistoryBegins() {
    let buffer = ReplayBuffer(limit: 10)
    #expect(revisions(buffer, since: 1) == nil)
    #expect(revisions(buffer, since: 1, isNewcomer: true) == nil)
  }

  @Test func replaysFromTheFloorOn() {
    var buffer = ReplayBuffer(limit: 10)
    buffer.begin(after: Revision(100))
    for revision: UInt64 in [101, 103, 103, 107] { buffer.append([bareNotice("k", revision)]) }
    #expect(revisions(buffer, since: 100) == nil)
    #expect(revisions(buffer, since: 101) == [101, 103, 103, 107])
    #expect(revisions(buffer, since: 102) == [103, 103, 107])
    #expect(revisions(buffer, since: 103) == [103, 103, 107])
    #expect(revisions(buffer, since: 108) == [])
    #expect(buffer.endNumber == 4)
    // A subscriber that holds nothing needs nothing from before the load.
    #expect(revisions(buffer, since: 50, isNewcomer: true) == [101, 103, 103, 107])
  }

  @Test func whatIsForgottenMovesTheFloor() {
    var buffer = ReplayBuffer(limit: 3)
    buffer.begin(after: Revision(10))
    buffer.append((11...14).map { bareNotice("k", $0) })
    #expect(revisions(buffer, since: 11) == nil)
    #expect(revisions(buffer, since: 12) == [12, 13, 14])
    // Two notices share a revision, and the first is dropped: that revision cannot be replayed completely.
    buffer.append([bareNotice("a", 14), bareNotice("b", 15), bareNotice("c", 16)])
    #expect(revisions(buffer, since: 14) == nil)
    #expect(revisions(buffer, since: 15) == [15, 16])
    #expect(revisions(buffer, since: 12, isNewcomer: true) == nil)
  }

  @Test func whatIsOlderGoesBefore() {
    var buffer = ReplayBuffer(limit: 4)
    buffer.begin(after: Revision(10))
    buffer.append([bareNotice("k", 11)])
    buffer.prepend([bareNotice("a", 6), bareNotice("b", 8)], from: Revision(5))
    #expect(revisions(buffer, since: 4) == nil)
    #expect(revisions(buffer, since: 5) == [6, 8, 11])
    #expect(revisions(buffer, since: 7) == [8, 11])
    #expect(buffer.endNumber == 1, "the notices that were there keep their numbers")
    // The limit counts both kinds of notices.
    buffer.append([bareNotice("k", 12), bareNotice("k", 13)])
    #expect(revisions(buffer, since: 6) == nil)
    #expect(revisions(buffer, since: 7) == [8, 11, 12, 13])
  }

  /// The answer that the key had then is not known; and a subscriber that receives the later change does not need the
  /// earlier one.
  @Test func aKeyThatHasChangedSinceIsNotToldOfBefore() {
    var buffer = ReplayBuffer(limit: 10)
    buffer.begin(after: Revision(10))
    buffer.append([bareNotice("a", 11)])
    buffer.prepend([bareNotice("a", 4), bareNotice("b", 5)], from: Revision(2))
    #expect(revisions(buffer, since: 2) == [5, 11])
  }

  @Test func onlyTheLatestOfWhatIsOlderIsKept() {
    var buffer = ReplayBuffer(limit: 3)
    buffer.begin(after: Revision(10))
    buffer.append([bareNotice("k", 11)])
    buffer.prepend(
      [bareNotice("a", 4), bareNotice("b", 6), bareNotice("c", 6), bareNotice("d", 8)], from: Revision(2))
    #expect(revisions(buffer, since: 6) == nil, "one of the two at 6 is forgotten")
    #expect(revisions(buffer, since: 7) == [8, 11])
    var full = ReplayBuffer(limit: 1)
    full.begin(after: Revision(10))
    full.append([bareNotice("k", 11), bareNotice("k", 12)])
    full.prepend([bareNotice("a", 8)], from: Revision(2))
    #expect(revisions(full, since: 8) == nil)
    #expect(revisions(full, since: 12) == [12])
  }

  @Test func aGapBeginsHistoryAnew() {
    var buffer = ReplayBuffer(limit: 10)
    buffer.begin(after: Revision(10))
    buffer.append([bareNotice("k", 11)])
    buffer.begin(after: Revision(20))
    #expect(revisions(buffer, since: 11) == nil)
    #expect(revisions(buffer, since: 21) == [])
    // Not even for a subscriber without a start: it may hold an answer from a lookup before the gap.
    #expect(revisions(buffer, since: 15, isNewcomer: true) == nil)
    #expect(buffer.endNumber == 1)
    #expect(buffer.notices(from: 0, limit: 1) == nil, "a number that was forgotten is never given again")
  }

  /// Compares the buffer with a list that drops nothing, with a random seed.
  @Test func isExactOrSaysNo() {
    var random = SeededRandom.fresh("isExactOrSaysNo")
    var buffer = ReplayBuffer(limit: 20)
    var all: [UInt64] = []
    var begun: UInt64 = 0
    var revision: UInt64 = 1
    buffer.begin(after: Revision(0))
    for _ in 0..<2000 {
      if random.once(in: 100) {
        revision += 1
        begun = revision
        buffer.begin(after: Revision(revision))
        revision += 1
      } else {
        let count = 1 + random.below(4)
        buffer.append((0..<count).map { _ in bareNotice("k\(random.below(9))", revision) })
        all += Array(repeating: revision, count: count)
        revision += UInt64(random.below(3))
      }
      let start = revision - min(revision, UInt64(random.below(40)))
      if let replayed = revisions(buffer, since: start) {
        #expect(start > begun)
        #expect(replayed == all.filter { $0 >= start })
      }
    }
  }
}
