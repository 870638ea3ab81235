// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Foundation
internal import Synchronization
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

/// Tests of lock-free reads: a found answer remains valid, an existing key is always found, replaced answers are
/// reclaimed, and a publication is visible completely or not at all.
struct AnswerReaderTests {
  private final class Thing: Reclaimable {
    let count: Locked<Int>

    init(_ count: Locked<Int>) {
      self.count = count
      count.withLock { $0 += 1 }
    }

    deinit { count.withLock { $0 -= 1 } }
  }

  private func answer(_ code: String, _ number: Int, publication: Int) throws -> CachedAnswer {
    let document = try BSONDocument(json: country("\(number)", code, "n\(number)"))
    let id = try #require(document.id)
    guard case .good(let entry) = Reading(document, id: id, as: Country.self) else { throw TestFailure("not good") }
    return CachedAnswer(
      key: LookupKey(code), entry: entry, revision: Revision(seconds: UInt32(number), increment: 1),
      committedAt: WallTime(milliseconds: 0), publication: UInt64(publication))
  }

  /// Publishes answers as the cache's publisher does, and removes the answers of the keys in `gone`.
  private func publish(_ table: AnswerTable, _ publication: Int, _ answers: [CachedAnswer], gone: [String] = []) {
    let all =
      answers + gone.compactMap { table.latest(LookupKey($0)) }.map { .gone($0, publication: UInt64(publication)) }
    for answer in all { table.store(answer) }
    table.publish(UInt64(publication))
    table.retire(all.filter { $0.answerBefore != nil })
  }

  @Test func whatNoReaderCanHoldIsReclaimedAtOnce() {
    let (reclaimer, alive) = (Reclaimer(), Locked(0))
    let reader = reclaimer.makeReader()
    reclaimer.retire([Thing(alive)])
    #expect(alive.withLock { $0 } == 0)
    reclaimer.enter(reader)
    reclaimer.leave(reader)
    reclaimer.retire([Thing(alive), Thing(alive)])
    #expect(alive.withLock { $0 } == 0)
  }

  @Test func aReaderKeepsWhatItMayHaveFound() {
    let (reclaimer, alive) = (Reclaimer(), Locked(0))
    let (early, late) = (reclaimer.makeReader(), reclaimer.makeReader())
    reclaimer.enter(early)
    reclaimer.retire([Thing(alive)])
    // This reader entered after the object was retired, and cannot have found it.
    reclaimer.enter(late)
    reclaimer.retire([Thing(alive)])
    #expect(alive.withLock { $0 } == 2)
    reclaimer.leave(early)
    reclaimer.retire([])
    #expect(alive.withLock { $0 } == 1)
    reclaimer.leave(late)
    reclaimer.retire([])
    #expect(alive.withLock { $0 } == 0)
  }

  @Test func aReaderThatIsGoneKeepsNothing() {
    let (reclaimer, alive) = (Reclaimer(), Locked(0))
    let reader = reclaimer.makeReader()
    reclaimer.enter(reader)
    reclaimer.retire([Thing(alive)])
    reclaimer.remove(reader)
    reclaimer.retire([])
    #expect(alive.withLock { $0 } == 0)
  }

  @Test func whatWasFoundIsValidUntilTheReaderLeaves() throws {
    let table = AnswerTable()
    let reader = AnswerReader(table, Listings())
    weak var old: CachedAnswer?
    do {
      let answer = try answer("de", 1, publication: 1)
      old = answer
      publish(table, 1, [answer])
    }
    reader.enter()
    let key = Array("de".utf8)
    let found = key.withUnsafeBytes { reader.find(reader.query(space: 0, key: $0)) }
    #expect(found != nil)
    publish(table, 2, [try answer("de", 2, publication: 2)])
    let revision = found?._withUnsafeGuaranteedRef { $0.revision.seconds }
    #expect(revision == 1)
    #expect(old != nil)
    reader.leave()
    table.reclaim()
    #expect(old == nil)
  }

  /// A reader sees the publication at which it entered or advanced, regardless of later stores and publications.
  @Test func aReaderLooksAtOnePublication() throws {
    let table = AnswerTable()
    let reader = AnswerReader(table, Listings())
    publish(table, 1, try ["a", "b"].map { try answer($0, 1, publication: 1) })
    reader.enter()
    func seen(_ reader: AnswerReader) -> [UInt32?] {
      ["a", "b", "c"].map { reader.answer(LookupKey($0))?.revision.seconds }
    }
    #expect(seen(reader) == [1, 1, nil])
    // Answers that are stored but not published are visible neither to a reader nor to a lookup without one.
    let old = try #require(table.latest(LookupKey("b")))
    for answer in try [answer("a", 2, publication: 2), answer("c", 2, publication: 2), .gone(old, publication: 2)] {
      table.store(answer)
    }
    reader.advance()
    #expect(seen(reader) == [1, 1, nil])
    #expect(table.answer(LookupKey("b")) != nil && table.answer(LookupKey("c")) == nil)
    table.publish(2)
    #expect(seen(reader) == [1, 1, nil])
    #expect(table.answer(LookupKey("b")) == nil && table.answer(LookupKey("c")) != nil)
    reader.advance()
    #expect(seen(reader) == [2, nil, 2])
    reader.leave()
  }

  @Test func aKeyThatComesAgainBeforeItsRemovalIsReclaimedIsSeenRight() throws {
    let table = AnswerTable()
    let early = AnswerReader(table, Listings())
    let late = AnswerReader(table, Listings())
    publish(table, 1, [try answer("a", 1, publication: 1)])
    early.enter()
    publish(table, 2, [], gone: ["a"])
    late.enter()
    publish(table, 3, [try answer("a", 3, publication: 3)])
    #expect(early.answer(LookupKey("a"))?.revision.seconds == 1)
    #expect(late.answer(LookupKey("a")) == nil)
    #expect(table.answer(LookupKey("a"))?.revision.seconds == 3)
    early.leave()
    late.leave()
    table.reclaim()
    #expect(table.latest(LookupKey("a"))?.answerBefore == nil)
    publish(table, 4, [], gone: ["a"])
    #expect(table.answer(LookupKey("a")) == nil && table.latest(LookupKey("a")) == nil)
  }

  /// One thread publishes while others read continuously. A key that always exists is always found, with an answer that
  /// is no older than the last one known before. Every answer belongs to its key. Of two keys that are swapped in one
  /// publication, exactly one is visible at any time.
  @Test func readersSeeWholePublications() throws {
    var random = SeededRandom.fresh("readersSeeWholePublications")
    let table = AnswerTable()
    let keys = (0..<64).map { "k\($0)" }
    publish(table, 1, try (keys + ["left"]).map { try answer($0, 1, publication: 1) })
    let published = Atomic<Int>(1)
    let isOver = Atomic<Bool>(false)
    let problems = Locked<[String]>([])
    let looks = Atomic<Int>(0)
    let threads = (0..<2).map { number in
      OSThread(name: "reader-\(number)") {
        let reader = AnswerReader(table, Listings())
        var place = number
        while !isOver.load(ordering: .acquiring) {
          reader.enter()
          for _ in 0..<50 {
            place = (place + 7) % keys.count
            let known = published.load(ordering: .acquiring)
            reader.advance()
            let key = Array(keys[place].utf8)
            let found = key.withUnsafeBytes { reader.find(reader.query(space: 0, key: $0)) }
            var problem =
              found.map { found in
                found._withUnsafeGuaranteedRef { answer -> String? in
                  if answer.key.text != keys[place] { return "\(keys[place]) found \(answer.key.text)" }
                  if Int(answer.revision.seconds) < known {
                    return "\(keys[place]) found \(answer.revision) < \(known)"
                  }
                  return answer.bytes.count == answer.lentBytes.count ? nil : "other bytes"
                }
              } ?? "\(keys[place]) was not found"
            let sides = ["left", "right"].map { reader.answer(LookupKey($0)) != nil }
            if sides[0] == sides[1] { problem = "left and right: \(sides)" }
            if let problem { problems.withLock { $0.append(problem) } }
            looks.add(1, ordering: .relaxed)
          }
          reader.leave()
        }
      }
    }
    // Other keys are added and removed, so that shards grow and gaps are closed. The permanent keys get newer answers.
    var round = 1
    while looks.load(ordering: .relaxed) < 50_000 || round < 50 {
      round += 1
      let others = Set((0..<300).map { _ in "x\(random.below(100_000))" }).sorted()
      let (comes, goes) = round % 2 == 0 ? ("right", "left") : ("left", "right")
      publish(
        table, 2 * round, try (others + keys + [comes]).map { try answer($0, round, publication: 2 * round) },
        gone: [goes])
      published.store(round, ordering: .releasing)
      publish(table, 2 * round + 1, [], gone: others)
    }
    isOver.store(true, ordering: .releasing)
    for thread in threads { thread.join() }
    #expect(problems.withLock { $0 }.prefix(5) == [])
  }

  /// A separate shard in which the search for all answers begins at the same slot. Every second answer is removed.
  private final class Row: Sendable {
    let shard: AnswerShard

    init(_ reclaimer: Reclaimer, _ stay: [CachedAnswer], _ go: [CachedAnswer]) {
      shard = AnswerShard(reclaimer)
      for (one, other) in zip(go, stay) {
        shard.store(0, one)
        shard.store(0, other)
      }
    }
  }

  /// Each removal moves back the answers behind it. A reader finds them all the same.
  @Test func whatIsMovedIsFound() throws {
    let reclaimer = Reclaimer()
    let stay = try (0..<40).map { try answer("s\($0)", 1, publication: 1) }
    let go = try (0..<40).map { try answer("g\($0)", 1, publication: 1) }
    let rows = (0..<2000).map { _ in Row(reclaimer, stay, go) }
    let current = Atomic<Int>(0)
    let isOver = Atomic<Bool>(false)
    let misses = Atomic<Int>(0)
    let thread = OSThread(name: "reader") {
      let reader = reclaimer.makeReader()
      while !isOver.load(ordering: .acquiring) {
        reclaimer.enter(reader)
        let row = rows[current.load(ordering: .acquiring)]
        for answer in stay {
          let found = answer.key.bytes.withUnsafeBytes { row.shard.find(0, 0, $0, asOf: 1) }
          if found == nil { misses.add(1, ordering: .relaxed) }
        }
        reclaimer.leave(reader)
      }
    }
    for (place, row) in rows.enumerated() {
      current.store(place, ordering: .releasing)
      for answer in go {
        let none = CachedAnswer.gone(answer, publication: 1)
        row.shard.store(0, none)
        row.shard.settle(0, none)
      }
    }
    isOver.store(true, ordering: .releasing)
    thread.join()
    #expect(misses.load(ordering: .relaxed) == 0)
  }
}
