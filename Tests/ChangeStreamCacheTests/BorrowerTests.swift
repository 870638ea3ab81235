internal import BSON
internal import Core
internal import Foundation
internal import Synchronization
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

/// Looking without a lock: what is lent stays, what is there is found, what is gone is let go.
struct BorrowerTests {
  private final class Thing: Sendable {
    let count: Locked<Int>

    init(_ count: Locked<Int>) {
      self.count = count
      count.withLock { $0 += 1 }
    }

    deinit { count.withLock { $0 -= 1 } }
  }

  private func answer(_ code: String, _ number: Int) throws -> Answer {
    let document = try BSONDocument(json: country("\(number)", code, "n\(number)"))
    let id = try #require(document.id)
    guard case .good(let entry) = Reading(document, id: id, as: Country.self) else { throw TestFailure("not good") }
    return Answer(
      key: LookupKey(code), entry: entry, others: [], revision: Revision(seconds: UInt32(number), increment: 1),
      committedAt: WallTime(milliseconds: 0))
  }

  @Test func whatNobodyLooksAtIsLetGoAtOnce() {
    let (periods, alive) = (GracePeriods(), Locked(0))
    let reader = periods.makeReader()
    periods.retire([Thing(alive)])
    #expect(alive.withLock { $0 } == 0)
    periods.begin(reader)
    periods.end(reader)
    periods.retire([Thing(alive), Thing(alive)])
    #expect(alive.withLock { $0 } == 0)
  }

  @Test func aReaderKeepsWhatItMayHaveFound() {
    let (periods, alive) = (GracePeriods(), Locked(0))
    let (early, late) = (periods.makeReader(), periods.makeReader())
    periods.begin(early)
    periods.retire([Thing(alive)])
    // It began afterwards, and cannot have found the first.
    periods.begin(late)
    periods.retire([Thing(alive)])
    #expect(alive.withLock { $0 } == 2)
    periods.end(early)
    periods.retire([])
    #expect(alive.withLock { $0 } == 1)
    periods.end(late)
    periods.retire([])
    #expect(alive.withLock { $0 } == 0)
  }

  @Test func aReaderThatIsGoneKeepsNothing() {
    let (periods, alive) = (GracePeriods(), Locked(0))
    let reader = periods.makeReader()
    periods.begin(reader)
    periods.retire([Thing(alive)])
    periods.remove(reader)
    periods.retire([])
    #expect(alive.withLock { $0 } == 0)
  }

  @Test func whatIsLentStaysUntilItIsGivenBack() throws {
    let table = AnswerTable()
    let borrower = AnswerBorrower(table)
    weak var old: Answer?
    do {
      let answer = try answer("de", 1)
      old = answer
      table.set(answer.key, answer)
    }
    borrower.begin()
    let key = Array("de".utf8)
    let lent = key.withUnsafeBytes { borrower.borrow(borrower.query(space: 0, key: $0)) }
    #expect(lent != nil)
    table.set(LookupKey("de"), try answer("de", 2))
    let revision = lent?._withUnsafeGuaranteedRef { $0.revision.seconds }
    #expect(revision == 1)
    #expect(old != nil)
    borrower.giveBack()
    table.set(LookupKey("de"), nil)
    #expect(old == nil)
  }

  /// One thread changes, others look all the time: a key that is always there is always found, with an answer no older
  /// than the last that was known before; and every answer is its key's own.
  @Test func whoeverLooksFindsWhatIsThere() throws {
    var random = SeededRandom.fresh("whoeverLooksFindsWhatIsThere")
    let table = AnswerTable()
    let keys = (0..<64).map { "k\($0)" }
    for key in keys { table.set(LookupKey(key), try answer(key, 1)) }
    let published = Atomic<Int>(1)
    let isOver = Atomic<Bool>(false)
    let problems = Locked<[String]>([])
    let looks = Atomic<Int>(0)
    let threads = (0..<2).map { number in
      OSThread(name: "looker-\(number)") {
        let borrower = AnswerBorrower(table)
        var place = number
        while !isOver.load(ordering: .acquiring) {
          borrower.begin()
          for _ in 0..<50 {
            place = (place + 7) % keys.count
            let known = published.load(ordering: .acquiring)
            let key = Array(keys[place].utf8)
            let found = key.withUnsafeBytes { borrower.borrow(borrower.query(space: 0, key: $0)) }
            let problem =
              found.map { found in
                found._withUnsafeGuaranteedRef { answer -> String? in
                  if answer.key.text != keys[place] { return "\(keys[place]) found \(answer.key.text)" }
                  if Int(answer.revision.seconds) < known {
                    return "\(keys[place]) found \(answer.revision) < \(known)"
                  }
                  return answer.bytes.count == answer.lentBytes.count ? nil : "other bytes"
                }
              } ?? "\(keys[place]) was not found"
            if let problem { problems.withLock { $0.append(problem) } }
            looks.add(1, ordering: .relaxed)
          }
          borrower.giveBack()
        }
      }
    }
    // Others come and go, so that shards grow and gaps are closed; and those that stay get newer answers.
    var round = 1
    while looks.load(ordering: .relaxed) < 50_000 || round < 50 {
      round += 1
      let others = (0..<300).map { _ in "x\(random.below(100_000))" }
      for other in others { table.set(LookupKey(other), try answer(other, round)) }
      for key in keys { table.set(LookupKey(key), try answer(key, round)) }
      published.store(round, ordering: .releasing)
      for other in others { table.set(LookupKey(other), nil) }
    }
    isOver.store(true, ordering: .releasing)
    for thread in threads { thread.join() }
    #expect(problems.withLock { $0 }.prefix(5) == [])
  }

  /// A shard of its own, whose answers all begin to be looked for at one slot: every second one is to go.
  private final class Row: Sendable {
    let shard: AnswerShard

    init(_ periods: GracePeriods, _ stay: [Answer], _ go: [Answer]) {
      shard = AnswerShard(periods)
      for (one, other) in zip(go, stay) {
        shard.insert(0, one)
        shard.insert(0, other)
      }
    }
  }

  /// Each removal moves back what lies behind it: whoever looks meanwhile finds that all the same.
  @Test func whatIsMovedIsFound() throws {
    let periods = GracePeriods()
    let stay = try (0..<40).map { try answer("s\($0)", 1) }
    let go = try (0..<40).map { try answer("g\($0)", 1) }
    let rows = (0..<2000).map { _ in Row(periods, stay, go) }
    let current = Atomic<Int>(0)
    let isOver = Atomic<Bool>(false)
    let misses = Atomic<Int>(0)
    let thread = OSThread(name: "looker") {
      let reader = periods.makeReader()
      while !isOver.load(ordering: .acquiring) {
        periods.begin(reader)
        let row = rows[current.load(ordering: .acquiring)]
        for answer in stay {
          let found = answer.key.bytes.withUnsafeBytes { row.shard.lend(0, 0, $0) }
          if found == nil { misses.add(1, ordering: .relaxed) }
        }
        periods.end(reader)
      }
    }
    for (place, row) in rows.enumerated() {
      current.store(place, ordering: .releasing)
      for answer in go { answer.key.bytes.withUnsafeBytes { row.shard.remove(0, 0, $0) } }
    }
    isOver.store(true, ordering: .releasing)
    thread.join()
    #expect(misses.load(ordering: .relaxed) == 0)
  }
}
