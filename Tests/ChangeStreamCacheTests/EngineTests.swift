// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

/// Tests of the engine alone, step by step, with orders of events that a source seldom produces.
struct EngineTests {
  private final class Steps {
    let reader = CacheReader(entity: "country", ttl: .seconds(300), clock: SystemClock(), onObserved: {})
    let announced = Locked<[Invalidation]>([])
    let historyStart = Locked(Revision.none)
    var engine: CacheEngine<Country>
    private let now = MonotonicTime.now

    init() {
      let announced = announced
      engine = CacheEngine(
        reader: reader, reloadInterval: .seconds(300), logger: .silent,
        outlet: InvalidationOutlet(
          onInvalidation: { new in announced.withLock { $0 += new } },
          onHistoryStart: { [historyStart] revision in historyStart.withLock { $0 = revision } }))
      engine.streamOpened(resumed: false, identity: "test")
    }
    /// Loads an empty collection as of revision 5.
    func load() throws {
      let begun = engine.nextRead(reportedTime: Revision(5), now: now)
      let reload = try #require(begun)
      engine.readEnded(reload.number, at: Revision(5), now: now, wallNow: .now)
      #expect(!reader.isLoaded)
      engine.receivedNothing(.reporting(5, settled: 5))
      #expect(reader.isLoaded)
    }

    func receive(
      _ operation: DocumentChange.Operation, _ id: String, _ revision: UInt64, at time: UInt64,
      touched: Set<String>? = nil, isInTransaction: Bool = false
    ) {
      var reading: Reading?
      switch operation {
      case .insert(let document), .replace(let document), .update(let document), .updateLookedUp(let document?):
        reading = Reading(document, id: DocumentID(id), as: Country.self)
      default: break
      }
      let change = DocumentChange(
        operation, id: DocumentID(id), revision: Revision(revision), touchedFields: touched,
        isInTransaction: isInTransaction)
      _ = engine.received(change, reading, .bounded(time))
    }

    func idle(_ floor: UInt64) {
      engine.receivedNothing(.reporting(floor, settled: floor))
    }

    /// The notices since the last call, in order of key.
    var news: [String] {
      announced.withLock { announced in
        defer { announced = [] }
        return announced.map { "\($0.kind) \($0.key.text) \($0.revision)" }.sorted()
      }
    }

    func name(_ code: String) -> String? {
      (reader.answer(LookupKey(code))?.entry as? ModelEntry<Country>)?.cachedValue.name
    }
  }

  @Test func aChangeIsObservedWhenSomethingLaterHasCome() throws {
    let steps = Steps()
    try steps.load()
    #expect(steps.reader.observedRevision == Revision(5))
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 8)
    // Other changes may share its cluster time.
    #expect(steps.name("KE") == "Kenya")
    #expect(steps.reader.observedRevision == Revision(7))
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 8, at: 8)
    #expect(steps.reader.observedRevision == Revision(7))
    steps.idle(8)
    #expect(steps.reader.observedRevision == Revision(8))
  }

  /// Regression test: a watch that came from a server where this change was the first unannounced one missed it.
  @Test func theChangeThatEndsALoadIsAnnouncedAfterIt() throws {
    let steps = Steps()
    let begun = steps.engine.nextRead(reportedTime: Revision(5), now: .now)
    let reload = try #require(begun)
    steps.engine.readEnded(reload.number, at: Revision(7), now: .now, wallNow: .now)
    // The change proves that everything before it was received.
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 8)
    #expect(steps.name("KE") == "Kenya" && steps.reader.isLoaded)
    #expect(steps.reader.observedRevision == Revision(7))
    #expect(steps.historyStart.withLock { $0 } == Revision(7))
    #expect(steps.news == ["upsert KE 8"])
  }

  /// A watch that starts at a position which was sent before omits older changes.
  @Test func aChangeThatComesLateIsAnnouncedAfterWhatWasObserved() throws {
    let steps = Steps()
    try steps.load()
    steps.idle(9)
    #expect(steps.reader.observedRevision == Revision(9))
    try steps.receive(.updateLookedUp(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 12)
    steps.idle(12)
    #expect(steps.announced.withLock { $0.map(\.revision) } == [Revision(10)])
    #expect(steps.name("KE") == "Kenya")
  }

  /// A row contains a version that the stream passes over.
  @Test func aReloadPutsNoOtherVersionInThePlaceOfABadDocumentsLastGoodOne() throws {
    let steps = Steps()
    try steps.load()
    steps.engine.requestReload(.manual)
    let begun = steps.engine.nextRead(reportedTime: Revision(5), now: .now)
    let reload = try #require(begun)
    let row = try BSONDocument(json: country("1", "KE", "second"))
    _ = steps.engine.rowsRead(
      reload.number, [(DocumentID("1"), Reading(row, id: DocumentID("1"), as: Country.self))])
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "first"))), "1", 6, at: 6)
    let bad = try BSONDocument(json: country("1", "KE", "bad", rank: 999))
    steps.receive(.updateLookedUp(bad), "1", 8, at: 12)
    steps.receive(.updateLookedUp(bad), "1", 9, at: 12)
    steps.engine.readEnded(reload.number, at: Revision(9), now: .now, wallNow: .now)
    steps.idle(12)
    #expect(steps.engine.currentHealth().reloads == 2)
    #expect(steps.name("KE") == "first")
    #expect(steps.engine.currentHealth().rejectedCount == 1)
  }

  /// A lookup with the transaction's revision as minimum must not see a state in the middle of the transaction.
  @Test func aTransactionIsShownWhenItIsWhole() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 9, isInTransaction: true)
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 8, at: 9, isInTransaction: true)
    #expect(steps.name("KE") == nil && steps.engine.awaited == .change)
    try steps.receive(.replace(BSONDocument(json: country("3", "TZ", "Tanzania"))), "3", 9, at: 9)
    #expect(steps.news == ["upsert KE 8", "upsert TZ 9", "upsert UG 8"])
    #expect(steps.reader.observedRevision == Revision(8) && steps.engine.awaited != .change)
  }

  /// A looked-up document may be newer than the update. Another server that is ahead of this one, or behind it, would
  /// serve a different state at the update's revision.
  @Test func anUpdateIsShownWhenTheStreamHasPassedTheMomentOfItsLookup() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.updateLookedUp(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 6, at: 10)
    #expect(steps.name("KE") == nil && steps.news == [] && steps.engine.awaited == .change)
    #expect(steps.reader.observedRevision == Revision(5))
    steps.idle(9)
    #expect(steps.name("KE") == nil)
    #expect(steps.reader.observedRevision == Revision(5))
    steps.idle(10)
    #expect(steps.name("KE") == "Kenya" && steps.engine.awaited != .change)
    #expect(steps.news == ["upsert KE 6"])
    #expect(steps.reader.observedRevision == Revision(10))
    #expect(steps.reader.answer(LookupKey("KE"))?.revision == Revision(6))
  }

  /// A database may report a time before a change of that time is visible.
  @Test func whatWaitsIsSettledBeforeAnythingIsPromised() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.updateLookedUp(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 6, at: 10)
    steps.engine.receivedNothing(.reporting(5, settled: 10))
    #expect(steps.name("KE") == "Kenya" && steps.news == ["upsert KE 6"])
    #expect(steps.reader.observedRevision == Revision(5))
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 9, at: 12)
    #expect(steps.news == ["upsert UG 9"])
    #expect(steps.reader.observedRevision == Revision(8))
  }

  @Test func anUpdateWhoseReplyIsOfItsOwnTimeIsShownAtOnce() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.updateLookedUp(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 6, at: 6)
    #expect(steps.news == ["upsert KE 6"])
    #expect(steps.reader.observedRevision == Revision(5))
  }

  /// A post-image is the document as of the update, regardless of the delay of the event.
  @Test func anUpdateWithAnImageIsShownAtOnce() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.update(BSONDocument(json: country("1", "KE", "first"))), "1", 6, at: 10, touched: ["active"])
    #expect(steps.news == ["upsert KE 6"] && steps.name("KE") == "first" && steps.engine.awaited != .change)
    try steps.receive(.update(BSONDocument(json: country("1", "UG", "second"))), "1", 7, at: 10, touched: ["code"])
    #expect(steps.news == ["delete KE 7", "upsert UG 7"])
    #expect(steps.historyStart.withLock { $0 } == Revision(5), "nothing was passed over")
    #expect(steps.reader.observedRevision == Revision(6))
  }

  @Test func anImageStandsForALookupBeforeIt() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(
      .updateLookedUp(BSONDocument(json: country("1", "KE", "later"))), "1", 6, at: 10, touched: ["active"])
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 7, at: 10)
    #expect(steps.news == [])
    try steps.receive(.update(BSONDocument(json: country("1", "KE", "now"))), "1", 8, at: 10, touched: ["name"])
    #expect(steps.news == ["upsert KE 8", "upsert UG 8"] && steps.name("KE") == "now")
    #expect(steps.historyStart.withLock { $0 } == Revision(8), "where the first took it is not known")
  }

  @Test func imagesOfOneTransactionAreShownTogether() throws {
    let steps = Steps()
    try steps.load()
    let documents = try ["one", "two"].map { try BSONDocument(json: country("1", "KE", $0)) }
    for document in documents { steps.receive(.update(document), "1", 8, at: 12, isInTransaction: true) }
    #expect(steps.news == [])
    steps.idle(8)
    #expect(steps.news == ["upsert KE 8"] && steps.name("KE") == "two")
  }

  @Test func whatComesBehindAWaitingChangeWaitsToo() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.updateLookedUp(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 6, at: 10)
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 10, at: 10)
    #expect(steps.name("UG") == nil && steps.reader.observedRevision == Revision(5))
    try steps.receive(.replace(BSONDocument(json: country("3", "TZ", "Tanzania"))), "3", 11, at: 12)
    #expect(
      steps.announced.withLock { $0.map { "\($0.key.text) \($0.revision)" } } == ["KE 6", "UG 10", "TZ 11"])
    #expect(steps.reader.observedRevision == Revision(10))
  }

  /// The result of the first update is unknown if the document was looked up later.
  @Test func anUpdateThatWasFollowedByAnotherBeforeItsLookupIsPassedOver() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "first"))), "1", 6, at: 6)
    try steps.receive(
      .updateLookedUp(BSONDocument(json: country("1", "KE", "third"))), "1", 7, at: 10, touched: ["name"])
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 8, at: 10)
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "second"))), "1", 9, at: 10)
    // A change with the document as of itself need not wait, and the change before it can be released, too.
    #expect(steps.name("KE") == "second" && steps.name("UG") == "Uganda")
    #expect(steps.news == ["upsert KE 6", "upsert KE 9", "upsert UG 9"])
    steps.idle(10)
    #expect(steps.reader.observedRevision == Revision(10))
    #expect(steps.historyStart.withLock { $0 } == Revision(5), "all of it was under one key")
  }

  /// Two documents of one key change in one transaction: the state after the first change never existed.
  @Test func ofATransactionOnlyItsOutcomeIsAnnounced() throws {
    let steps = Steps()
    try steps.load()
    let (low, high) = (country("1", "KE", "low", rank: 1), country("2", "KE", "high", rank: 2))
    try steps.receive(.replace(BSONDocument(json: high)), "2", 8, at: 8, isInTransaction: true)
    try steps.receive(.replace(BSONDocument(json: low)), "1", 8, at: 8, isInTransaction: true)
    steps.idle(8)
    #expect(steps.name("KE") == "high")
    #expect(steps.news == ["upsert KE 8"])
    steps.receive(.delete, "2", 9, at: 9, isInTransaction: true)
    steps.receive(.delete, "1", 9, at: 9, isInTransaction: true)
    steps.idle(9)
    #expect(steps.news == ["delete KE 9"])
  }

  /// The update may have had a result that is gone again. A server that looked it up in time has announced it.
  @Test func whoComesFromAnotherServerIsToldOfWhatWasPassedOver() throws {
    let steps = Steps()
    try steps.load()
    let document = try BSONDocument(json: country("1", "KE", "Kenya"))
    steps.receive(.replace(document), "1", 6, at: 6)
    #expect(steps.news == ["upsert KE 6"])
    steps.receive(.updateLookedUp(document), "1", 7, at: 10, touched: ["name"])
    steps.receive(.updateLookedUp(document), "1", 8, at: 10, touched: ["name"])
    steps.idle(10)
    #expect(steps.news == ["upsert KE 8"])
    #expect(steps.reader.answer(LookupKey("KE"))?.revision == Revision(8))
    // If nothing was passed over, a change that has no effect is not announced.
    steps.receive(.updateLookedUp(document), "1", 12, at: 13, touched: ["name"])
    steps.idle(13)
    #expect(steps.news == [])
  }

  /// A server that is ahead has announced the key in between. For this server it is unknown whether it is gone.
  @Test func historyBeginsAnewWhereWhatWasPassedOverMayHaveMovedADocument() throws {
    let steps = Steps()
    try steps.load()
    let later = try BSONDocument(json: country("1", "KE", "later"))
    steps.receive(.updateLookedUp(later), "1", 6, at: 10, touched: ["active"])
    steps.receive(.updateLookedUp(later), "1", 7, at: 10, touched: ["name"])
    steps.receive(.updateLookedUp(later), "1", 11, at: 11, touched: ["active"])
    #expect(steps.historyStart.withLock { $0 } == Revision(7))
    steps.idle(11)
    #expect(steps.historyStart.withLock { $0 } == Revision(7), "the last one is known")
    #expect(steps.news == ["upsert KE 7"])
  }

  /// Otherwise continuous updates would prevent a reload from ever ending.
  @Test func aReloadEndsWhileAChangeWaits() throws {
    let steps = Steps()
    try steps.load()
    steps.engine.requestReload(.manual)
    let begun = steps.engine.nextRead(reportedTime: Revision(5), now: .now)
    let reload = try #require(begun)
    let row = try BSONDocument(json: country("2", "UG", "Uganda"))
    _ = steps.engine.rowsRead(
      reload.number, [(DocumentID("2"), Reading(row, id: DocumentID("2"), as: Country.self))])
    steps.engine.readEnded(reload.number, at: Revision(7), now: .now, wallNow: .now)
    try steps.receive(.updateLookedUp(BSONDocument(json: country("1", "KE", "one"))), "1", 6, at: 7)
    #expect(steps.name("UG") == nil)
    try steps.receive(.updateLookedUp(BSONDocument(json: country("1", "KE", "two"))), "1", 8, at: 10)
    #expect(steps.name("UG") == "Uganda", "the reload is published")
    #expect(steps.name("KE") == "one", "as of the observed revision")
    #expect(steps.reader.observedRevision == Revision(7))
    steps.receive(.delete, "1", 9, at: 10)
    steps.idle(10)
    #expect(steps.name("KE") == nil)
    #expect(steps.news == ["delete KE 9", "upsert KE 6", "upsert UG 7"])
  }

  /// If too many changes are queued, reading the collection takes less time and memory. Changes before the read are
  /// part of it.
  @Test func whatIsTooFarBehindIsReadAnew() throws {
    let steps = Steps()
    try steps.load()
    let document = try BSONDocument(json: country("1", "KE", "Kenya"))
    for revision in 6...UInt64(6 + CacheLimits.waitingChanges) {
      steps.receive(.updateLookedUp(document), "1", revision, at: 1_000_000)
    }
    #expect(steps.engine.awaited != .change && !steps.engine.currentHealth().isStreamActive)
    let begun = steps.engine.nextRead(reportedTime: Revision(1_000_000), now: .now)
    let reload = try #require(begun)
    _ = steps.engine.rowsRead(
      reload.number, [(DocumentID("1"), Reading(document, id: DocumentID("1"), as: Country.self))])
    steps.engine.readEnded(reload.number, at: Revision(1_000_000), now: .now, wallNow: .now)
    steps.receive(.delete, "1", 999_999, at: 1_000_000)
    steps.idle(1_000_000)
    #expect(steps.name("KE") == "Kenya")
    #expect(steps.engine.currentHealth().resyncs == 1)
  }

  /// The database reported too early that the transaction's time was complete.
  @Test func aTransactionThatComesLateIsShownWhole() throws {
    let steps = Steps()
    try steps.load()
    steps.idle(9)
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 9, isInTransaction: true)
    #expect(steps.name("KE") == nil && steps.engine.awaited == .change)
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 8, at: 9, isInTransaction: true)
    #expect(steps.news == [])
    steps.idle(9)
    #expect(steps.news == ["upsert KE 10", "upsert UG 10"])
    #expect(steps.engine.nextRead(reportedTime: Revision(9), now: .now) == nil, "nothing was left out")
  }

  /// The database had reported the transaction's time before the transaction was visible.
  @Test func aTransactionOfAReportedTimeIsShownWhole() throws {
    let steps = Steps()
    try steps.load()
    steps.engine.receivedNothing(.reporting(5, settled: 8))
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 8, isInTransaction: true)
    #expect(steps.news == [])
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 8, at: 8, isInTransaction: true)
    steps.idle(8)
    #expect(steps.news == ["upsert KE 8", "upsert UG 8"])
  }

  /// Half of the transaction was applied before the rest was received. The rest is published as well, and nothing is
  /// discarded.
  @Test func theRestOfATransactionThatComesLateIsApplied() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 9, isInTransaction: true)
    steps.idle(8)
    #expect(steps.news == ["upsert KE 8"])
    try steps.receive(.replace(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 8, at: 9, isInTransaction: true)
    steps.idle(9)
    #expect(steps.news == ["upsert UG 9"] && steps.name("UG") == "Uganda")
    #expect(steps.engine.nextRead(reportedTime: Revision(9), now: .now) == nil, "nothing was left out")
  }

  /// At any moment, readers see both members of a transaction or none, by every selector.
  @Test func aTransactionIsOnePublication() throws {
    let steps = Steps()
    try steps.load()
    let answers = steps.reader.makeReader()
    func seen() -> [String] {
      answers.enter()
      defer { answers.leave() }
      let africa = answers.answer(LookupKey("Africa", space: 1))
      let members = africa.map { [$0.entry.key.text] + $0.otherNames.map { String(decoding: $0, as: UTF8.self) } }
      return ["KE", "UG"].filter { answers.answer(LookupKey($0)) != nil } + ["|"] + (members ?? []) + ["|"]
        + answers.list("").map(\.key.text)
    }
    let moments = Locked<[[String]]>([])
    steps.reader.onStored = { moments.withLock { $0.append(seen()) } }
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "Kenya", continent: "Africa"))), "1", 6, at: 6)
    try steps.receive(
      .replace(BSONDocument(json: country("2", "UG", "Uganda", continent: "Africa"))), "2", 8, at: 8,
      isInTransaction: true)
    steps.receive(.delete, "1", 8, at: 8, isInTransaction: true)
    steps.idle(8)
    #expect(seen() == ["UG", "|", "UG", "|", "UG"])
    let all = moments.withLock { Set($0) }
    #expect(all == [["|", "|"], ["KE", "|", "KE", "|", "KE"]], "between two stores nothing of a publication is seen")
    #expect(steps.news == ["delete KE 8", "upsert Africa 6", "upsert Africa 8", "upsert KE 6", "upsert UG 8"])
  }

  @Test func aRevisionIsInTheFutureByTheDatabasesOwnClock() throws {
    let steps = Steps()
    try steps.load()
    let seconds = UInt32(WallTime.now.milliseconds / 1000)
    func revision(_ ahead: UInt32) -> Revision { Revision(seconds: seconds + ahead, increment: 1) }
    #expect(!steps.reader.isInTheFuture(revision(50)) && steps.reader.isInTheFuture(revision(70)))
    // The database's clock is two minutes ahead of the local one.
    steps.idle(revision(120).rawValue)
    #expect(!steps.reader.isInTheFuture(revision(170)) && steps.reader.isInTheFuture(revision(190)))
  }

  @Test func aChangeOutOfOrderIsLeftOutAndReadAnew() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "new"))), "1", 9, at: 9)
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "old"))), "1", 7, at: 9)
    #expect(steps.name("KE") == "new")
    #expect(steps.engine.nextRead(reportedTime: Revision(9), now: .now) != nil)
  }

  @Test func revisionsOfAnotherDatabaseAreNotCompared() throws {
    let reader = CacheReader(entity: "country", ttl: .seconds(300), clock: SystemClock(), onObserved: {})
    let outlet = InvalidationOutlet(onInvalidation: { _ in })
    var engine = CacheEngine<Country>(reader: reader, reloadInterval: .seconds(300), logger: .silent, outlet: outlet)
    let now = MonotonicTime.now
    func reading(_ name: String) throws -> Reading {
      Reading(try BSONDocument(json: country("1", "KE", name)), id: DocumentID("1"), as: Country.self)
    }
    engine.streamOpened(resumed: false, identity: "old")
    let begun1 = engine.nextRead(reportedTime: Revision(100), now: now)
    let first = try #require(begun1)
    _ = engine.rowsRead(first.number, [(DocumentID("1"), try reading("Kenya"))])
    engine.readEnded(first.number, at: Revision(100), now: now, wallNow: .now)
    engine.receivedNothing(.reporting(100, settled: 100))
    engine.streamClosed(nil, historyLost: true)
    engine.streamOpened(resumed: false, identity: "new")
    // Until the new database is served, all values refer to the old one.
    #expect(reader.identity == "old" && reader.observedRevision == Revision(100))
    let begun2 = engine.nextRead(reportedTime: Revision(7), now: now)
    let second = try #require(begun2)
    _ = engine.rowsRead(second.number, [(DocumentID("1"), try reading("Kenia"))])
    engine.readEnded(second.number, at: Revision(7), now: now, wallNow: .now)
    engine.receivedNothing(.reporting(7, settled: 7))
    #expect(reader.identity == "new" && reader.observedRevision == Revision(7))
    #expect(reader.answer(LookupKey("KE"))?.revision == Revision(7))
  }
}
