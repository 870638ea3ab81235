// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache
@testable internal import LookupService

/// A notice without a document, for tests that use only its key and its revision.
func bareNotice(
  _ key: String, _ revision: UInt64, _ entity: ServedEntity = .prompt, number: Int = 0, publication: UInt64 = 0
) -> EncodedNotice {
  EncodedNotice(
    Invalidation(
      kind: .delete, key: LookupKey(key), revision: Revision(revision), committedAt: WallTime(milliseconds: 0),
      reason: .manual, itemID: "", answer: nil, previousETag: nil, sequence: publication), entity, number: number)
}

extension WatchQueue.Item {
  var short: String {
    switch self {
    case .notice(let notice): "\(notice.key.text)@\(notice.revision)"
    case .progress(let revision, let reason): "progress\(reason.isEmpty ? "" : " \(reason)")@\(revision)"
    case .resync(let revision): "resync@\(revision)"
    }
  }
}

struct WatchQueueTests {
  /// A queue in a reference type, so that an expectation can change it.
  private final class Queue {
    private(set) var queue: WatchQueue

    init(limit: Int) { queue = WatchQueue(limit: limit) }

    func append(_ notice: EncodedNotice) -> Bool { queue.append(notice) }
    func append(progress: Revision, reason: String) { queue.append(progress: progress, reason: reason) }
    func popFirst() -> WatchQueue.Item? { queue.popFirst() }

    func drain() -> [String] {
      var result: [String] = []
      while let item = queue.popFirst() { result.append(item.short) }
      return result
    }
  }

  @Test func orderIsKeptAndALaterNoticeTakesThePlaceOfTheEarlier() {
    let queue = Queue(limit: 10)
    #expect(queue.queue.isEmpty)
    #expect(!queue.append(bareNotice("a", 1)))
    #expect(!queue.append(bareNotice("b", 2)))
    queue.append(progress: Revision(2), reason: "")
    #expect(!queue.append(bareNotice("c", 3)))
    #expect(!queue.append(bareNotice("a", 4)))
    #expect(!queue.append(bareNotice("a", 5, .agentConfig)))
    #expect(queue.queue.keyCount == 4)
    #expect(queue.drain() == ["a@4", "b@2", "progress@2", "c@3", "a@5"])
    #expect(queue.queue.isEmpty)
    #expect(queue.queue.keyCount == 0)
  }

  @Test func progressThatNothingPartsIsOne() {
    let queue = Queue(limit: 10)
    queue.append(progress: Revision(1), reason: "initial_state")
    queue.append(progress: Revision(2), reason: "")
    queue.append(progress: Revision(3), reason: "")
    queue.append(progress: Revision(4), reason: "draining")
    #expect(queue.drain() == ["progress initial_state@1", "progress@3", "progress draining@4"])
    queue.append(progress: Revision(5), reason: "")
    #expect(queue.drain() == ["progress@5"])
  }

  @Test func pastTheLimitOneResyncStandsForAll() {
    let queue = Queue(limit: 3)
    for number in 1...3 { #expect(!queue.append(bareNotice("k\(number)", UInt64(number * 10)))) }
    #expect(!queue.append(bareNotice("k2", 40)), "a known key is no more of them")
    #expect(queue.append(bareNotice("k4", 35)))
    #expect(queue.queue.keyCount == 0)
    #expect(!queue.append(bareNotice("k5", 36)), "the RESYNC stands for it, too")
    #expect(queue.drain() == ["resync@40"], "as late as the latest that it stands for")
    #expect(!queue.append(bareNotice("k6", 50)))
    #expect(queue.drain() == ["k6@50"])
  }

  @Test func nothingAfterAResyncIsLost() {
    let queue = Queue(limit: 1)
    _ = queue.append(bareNotice("a", 1))
    #expect(queue.append(bareNotice("b", 2)))
    queue.append(progress: Revision(2), reason: "")
    #expect(!queue.append(bareNotice("a", 3)))
    #expect(queue.append(bareNotice("b", 4)), "again too many")
    queue.append(progress: Revision(4), reason: "")
    #expect(queue.drain() == ["resync@4", "progress@4"])
  }

  /// A queue that is not empty for a long time frees the memory of the items that were taken.
  @Test func aQueueThatIsNeverEmptyDoesNotGrow() {
    let queue = Queue(limit: 100)
    for number in 0..<50 { _ = queue.append(bareNotice("k\(number)", UInt64(number))) }
    for number in 50..<20_000 {
      _ = queue.append(bareNotice("k\(number % 1000)", UInt64(number)))
      #expect(queue.popFirst()?.short == "k\((number - 50) % 1000)@\(number - 50)")
      if number.isMultiple(of: 500) { #expect(queue.queue.storedCount <= 200, "\(queue.queue.storedCount) for 50") }
    }
    #expect(queue.queue.keyCount == 50)
  }

  /// Compares the queue with a list that is searched linearly, with many keys, of which often all are removed.
  @Test(arguments: 0..<10) func manyKeysAsAPlainListHasThem(run: Int) {
    var random = SeededRandom.fresh("manyKeysAsAPlainListHasThem \(run)")
    let limit = 1 + random.below(400)
    let queue = Queue(limit: limit)
    var list: [(key: String, revision: UInt64)] = []
    for revision in 1...UInt64(6000) {
      // The queue is filled and emptied in turn.
      if random.below(3) > ((revision / 700).isMultiple(of: 2) ? 1 : 0) {
        #expect(queue.popFirst()?.short == list.first.map { "\($0.key)@\($0.revision)" })
        if !list.isEmpty { list.removeFirst() }
        continue
      }
      let key = "k\(random.below(500))"
      let overflows = queue.append(bareNotice(key, revision))
      if let place = list.firstIndex(where: { $0.key == key }) {
        list[place].revision = revision
      } else if list.count(where: { $0.key != "resync" }) >= limit {
        list = [("resync", revision)]
        #expect(overflows)
      } else if list.last?.key == "resync" {
        list[list.count - 1].revision = revision
      } else {
        list.append((key, revision))
        #expect(!overflows)
      }
      #expect(queue.queue.keyCount == list.count(where: { $0.key != "resync" }))
    }
    #expect(queue.drain() == list.map { "\($0.key)@\($0.revision)" })
  }

  /// For every PROGRESS(R): every notice up to R that was appended before it has been taken, or a newer one of its key.
  @Test(arguments: 0..<20) func progressStaysTrue(run: Int) {
    var random = SeededRandom.fresh("progressStaysTrue \(run)")
    let limit = 1 + random.below(12)
    let queue = Queue(limit: limit)
    var revision: UInt64 = 0
    /// The latest notice of each key that was appended, and that was taken.
    var appended: [String: UInt64] = [:]
    var given: [String: UInt64] = [:]
    /// For each revision of a PROGRESS: the notices that had been appended when the first PROGRESS with it was
    /// appended.
    var owed: [UInt64: [String: UInt64]] = [:]
    for _ in 0..<3000 {
      switch random.below(10) {
      case 0...4:
        revision += 1
        let key = "k\(random.below(15))"
        appended[key] = revision
        _ = queue.append(bareNotice(key, revision))
      case 5:
        queue.append(progress: Revision(revision), reason: random.once(in: 4) ? "x" : "")
        owed[revision] = appended
      default:
        switch queue.popFirst() {
        case .notice(let notice):
          let last = given[notice.key.text] ?? 0
          #expect(notice.revision.rawValue >= last, "\(notice.key.text) goes back from \(last)")
          given[notice.key.text] = notice.revision.rawValue
        case .progress(let said, _):
          for (key, wanted) in owed[said.rawValue] ?? [:] where (given[key] ?? 0) < wanted {
            Issue.record("PROGRESS \(said) before \(key)@\(wanted)")
          }
        case .resync(let said):
          // A lookup after a RESYNC returns everything that was there before the RESYNC was taken.
          #expect(appended.values.allSatisfy { $0 <= revision })
          #expect(said.rawValue <= revision)
          given = appended
        case nil: break
        }
      }
      #expect(queue.queue.keyCount <= limit)
    }
    while let item = queue.popFirst() {
      if case .notice(let notice) = item { given[notice.key.text] = notice.revision.rawValue }
      if case .resync = item { given = appended }
    }
    #expect(given == appended)
  }
}
