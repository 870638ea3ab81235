internal import BSON
internal import Core
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

/// The engine by itself, step by step: orders of events that a source seldom gives.
struct EngineTests {
  private final class Steps {
    let reader = CacheReader(entity: "country", ttlSeconds: 300, clock: SystemClock(), onObserved: {})
    let announced = Locked<[Invalidation]>([])
    let historyStart = Locked(Revision.none)
    var engine: CacheEngine<Country>
    private let now = MonotonicTime.now

    init() {
      let announced = announced
      engine = CacheEngine(
        reader: reader, reloadSeconds: 300, logger: .silent,
        outlet: InvalidationOutlet(
          onInvalidation: { new in announced.withLock { $0 += new } },
          onHistoryStart: { [historyStart] revision in historyStart.withLock { $0 = revision } }))
      engine.streamOpened(resumed: false, identity: "test")
    }

    /// Loads an empty collection, as of revision 5.
    func load() throws {
      let begun = engine.nextRead(operationTime: Revision(5), now: now)
      let reload = try #require(begun)
      engine.readEnded(reload.number, at: Revision(5), now: now, wallNow: .now)
      #expect(!reader.isLoaded)
      engine.receivedNothing(floor: Revision(5), now: now, wallNow: .now)
      #expect(reader.isLoaded)
    }

    func receive(
      _ operation: DocumentChange.Operation, _ id: String, _ revision: UInt64, at time: UInt64,
      touched: Set<String>? = nil, isInTransaction: Bool = false
    ) {
      var reading: Reading?
      switch operation {
      case .insert(let document), .replace(let document), .update(lookedUp: let document?):
        reading = Reading(document, id: DocumentID(id), as: Country.self)
      default: break
      }
      let change = DocumentChange(
        operation, id: DocumentID(id), revision: Revision(revision), touchedFields: touched,
        isInTransaction: isInTransaction)
      _ = engine.received(change, reading, operationTime: Revision(time), now: now, wallNow: .now)
    }

    func idle(_ floor: UInt64) { engine.receivedNothing(floor: Revision(floor), now: now, wallNow: .now) }

    /// What has been announced since it was last asked, in order of key.
    var news: [String] {
      announced.withLock { announced in
        defer { announced = [] }
        return announced.map { "\($0.kind) \($0.key.text) \($0.revision)" }.sorted()
      }
    }

    func name(_ code: String) -> String? {
      (reader.answer(LookupKey(code))?.entry as? ModelEntry<Country>)?.kept.name
    }
  }

  @Test func aChangeIsObservedWhenSomethingLaterHasCome() throws {
    let steps = Steps()
    try steps.load()
    #expect(steps.reader.observedRevision == Revision(5))
    try steps.receive(.insert(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 8)
    // Others may share its cluster time.
    #expect(steps.name("KE") == "Kenya")
    #expect(steps.reader.observedRevision == Revision(7))
    try steps.receive(.insert(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 8, at: 8)
    #expect(steps.reader.observedRevision == Revision(7))
    steps.idle(8)
    #expect(steps.reader.observedRevision == Revision(8))
  }

  /// Found by a watch that came from a server where this change was the first one not told.
  @Test func historyBeginsAfterTheLastChangeThatWentIntoTheLoad() throws {
    let steps = Steps()
    let begun = steps.engine.nextRead(operationTime: Revision(5), now: .now)
    let reload = try #require(begun)
    steps.engine.readEnded(reload.number, at: Revision(7), now: .now, wallNow: .now)
    // It proves everything before itself, and so ends the reload that it is part of.
    try steps.receive(.insert(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 8)
    #expect(steps.name("KE") == "Kenya" && steps.reader.isLoaded)
    #expect(steps.reader.observedRevision == Revision(7))
    #expect(steps.announced.withLock { $0.isEmpty })
    #expect(steps.historyStart.withLock { $0 } == Revision(8))
  }

  /// A watch that starts at a position that was handed out leaves out what is older.
  @Test func aChangeThatComesLateIsAnnouncedAfterWhatWasObserved() throws {
    let steps = Steps()
    try steps.load()
    steps.idle(9)
    #expect(steps.reader.observedRevision == Revision(9))
    try steps.receive(.update(lookedUp: BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 12)
    #expect(steps.announced.withLock { $0.map(\.revision) } == [Revision(10)])
    #expect(steps.name("KE") == "Kenya")
  }

  /// The reload takes each change as it comes, so its last good version is the one before what was looked up.
  @Test func aReloadPutsNoOlderVersionInThePlaceOfABadDocumentsLastGoodOne() throws {
    let steps = Steps()
    try steps.load()
    steps.engine.requestReload(.manual)
    let begun = steps.engine.nextRead(operationTime: Revision(5), now: .now)
    let reload = try #require(begun)
    try steps.receive(.update(lookedUp: BSONDocument(json: country("1", "KE", "third"))), "1", 6, at: 12)
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "second"))), "1", 8, at: 12)
    try steps.receive(.update(lookedUp: BSONDocument(json: country("1", "KE", "bad", rank: 999))), "1", 9, at: 12)
    #expect(steps.name("KE") == "third")
    steps.engine.readEnded(reload.number, at: Revision(9), now: .now, wallNow: .now)
    steps.idle(12)
    #expect(steps.engine.currentHealth().reloads == 2)
    #expect(steps.name("KE") == "third")
  }

  /// Who asks for the transaction's revision must not get what was true in the middle of it.
  @Test func anAnswerIsNotCompleteWhileItsTransactionMayGoOn() throws {
    let steps = Steps()
    try steps.load()
    func complete(_ code: String) -> UInt64? { steps.reader.answer(LookupKey(code))?.complete.rawValue }
    try steps.receive(.insert(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 8, at: 9, isInTransaction: true)
    #expect(complete("KE") == 7)
    try steps.receive(.insert(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 9, at: 9)
    #expect(complete("UG") == 9)
  }

  /// Two documents under one key: what waits of the one is missing from the answer, whatever the other says.
  @Test func anAnswerIsNotCompleteWhileAChangeOfAnotherDocumentWaits() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.insert(BSONDocument(json: country("2", "KE", "two", rank: 2))), "2", 6, at: 10)
    try steps.receive(.update(lookedUp: BSONDocument(json: country("1", "KE", "one", rank: 1))), "1", 7, at: 10)
    steps.receive(.delete, "1", 8, at: 10)
    steps.receive(.delete, "2", 9, at: 10)
    #expect(steps.name("KE") == "one")
    #expect(steps.reader.answer(LookupKey("KE"))?.complete == Revision(7))
    steps.idle(10)
    #expect(steps.name("KE") == nil)
  }

  @Test func aChangeThatWaitsHoldsTheObservedRevisionBack() throws {
    let steps = Steps()
    try steps.load()
    // Looked up at some moment up to 10; the delete at 8 may be newer or older than that.
    try steps.receive(.update(lookedUp: BSONDocument(json: country("1", "KE", "Kenya"))), "1", 6, at: 10)
    steps.receive(.delete, "1", 8, at: 10)
    try steps.receive(.insert(BSONDocument(json: country("2", "UG", "Uganda"))), "2", 10, at: 10)
    #expect(steps.name("KE") == "Kenya")
    #expect(steps.reader.observedRevision == Revision(7))
    // Past the lookup: the delete was the newer one.
    try steps.receive(.insert(BSONDocument(json: country("3", "TZ", "Tanzania"))), "3", 11, at: 12)
    #expect(steps.name("KE") == nil)
    #expect(steps.reader.observedRevision == Revision(10))
    #expect(steps.announced.withLock { $0.map(\.key.text) } == ["KE", "UG", "KE", "TZ"])
  }

  @Test func aDocumentThatWasLookedUpDoesNotGoBack() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.update(lookedUp: BSONDocument(json: country("1", "KE", "third"))), "1", 6, at: 10)
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "second"))), "1", 8, at: 10)
    #expect(steps.name("KE") == "third")
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "third"))), "1", 9, at: 10)
    steps.idle(10)
    #expect(steps.name("KE") == "third")
    // The notice of the lookup, and once more with the revision at which it came to that.
    #expect(steps.news == ["upsert KE 6", "upsert KE 9"])
    #expect(steps.reader.observedRevision == Revision(10))
  }

  /// Updates and replaces without a pause would otherwise keep a reload from ever ending.
  @Test func aReloadEndsWhileAChangeWaits() throws {
    let steps = Steps()
    try steps.load()
    steps.engine.requestReload(.manual)
    let begun = steps.engine.nextRead(operationTime: Revision(5), now: .now)
    let reload = try #require(begun)
    let row = try BSONDocument(json: country("2", "UG", "Uganda"))
    _ = steps.engine.rowsRead(
      reload.number, [(DocumentID("2"), Reading(row, id: DocumentID("2"), as: Country.self))])
    steps.engine.readEnded(reload.number, at: Revision(7), now: .now, wallNow: .now)
    try steps.receive(.update(lookedUp: BSONDocument(json: country("1", "KE", "third"))), "1", 6, at: 10)
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "second"))), "1", 8, at: 10)
    #expect(steps.name("UG") == "Uganda", "the reload is published")
    #expect(steps.name("KE") == "third", "and nothing goes back")
    #expect(steps.reader.observedRevision == Revision(7))
    steps.receive(.delete, "1", 9, at: 10)
    steps.idle(10)
    #expect(steps.name("KE") == nil)
    #expect(
      steps.announced.withLock { $0.map { "\($0.kind) \($0.key.text)" } } == ["upsert KE", "upsert UG", "delete KE"])
  }

  /// A server that is ahead has announced the key in between; here nobody can say that it is gone.
  @Test func historyBeginsAnewWhereAnUpdateMayHaveMovedADocumentThatIsLookedUpLater() throws {
    let steps = Steps()
    try steps.load()
    let later = try BSONDocument(json: country("1", "KE", "later"))
    steps.receive(.update(lookedUp: later), "1", 6, at: 10, touched: ["name"])
    steps.receive(.update(lookedUp: later), "1", 7, at: 10, touched: ["name"])
    #expect(steps.historyStart.withLock { $0 } == Revision(5), "these left it under its key")
    steps.receive(.update(lookedUp: later), "1", 8, at: 10, touched: ["active"])
    #expect(steps.historyStart.withLock { $0 } == Revision(5), "what the lookup finds may be this")
    steps.receive(.update(lookedUp: later), "1", 9, at: 10, touched: ["name"])
    #expect(steps.historyStart.withLock { $0 } == Revision(9))
    steps.idle(10)
    steps.receive(.update(lookedUp: later), "1", 11, at: 11, touched: ["name"])
    #expect(steps.historyStart.withLock { $0 } == Revision(9), "the lookup's moment has passed")
  }

  @Test func aChangeOutOfOrderIsLeftOutAndReadAnew() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.insert(BSONDocument(json: country("1", "KE", "new"))), "1", 9, at: 9)
    try steps.receive(.replace(BSONDocument(json: country("1", "KE", "old"))), "1", 7, at: 9)
    #expect(steps.name("KE") == "new")
    #expect(steps.engine.nextRead(operationTime: Revision(9), now: .now) != nil)
  }

  @Test func revisionsOfAnotherDatabaseAreNotCompared() throws {
    let reader = CacheReader(entity: "country", ttlSeconds: 300, clock: SystemClock(), onObserved: {})
    var engine = CacheEngine<Country>(
      reader: reader, reloadSeconds: 300, logger: .silent, outlet: InvalidationOutlet(onInvalidation: { _ in }))
    let now = MonotonicTime.now
    func reading(_ name: String) throws -> Reading {
      Reading(try BSONDocument(json: country("1", "KE", name)), id: DocumentID("1"), as: Country.self)
    }
    engine.streamOpened(resumed: false, identity: "old")
    let begun1 = engine.nextRead(operationTime: Revision(100), now: now)
    let first = try #require(begun1)
    _ = engine.rowsRead(first.number, [(DocumentID("1"), try reading("Kenya"))])
    engine.readEnded(first.number, at: Revision(100), now: now, wallNow: .now)
    engine.receivedNothing(floor: Revision(100), now: now, wallNow: .now)
    engine.streamClosed(nil, historyLost: true)
    engine.streamOpened(resumed: false, identity: "new")
    // Until the new one is served, everything is said of the old one.
    #expect(reader.identity == "old" && reader.observedRevision == Revision(100))
    let begun2 = engine.nextRead(operationTime: Revision(7), now: now)
    let second = try #require(begun2)
    _ = engine.rowsRead(second.number, [(DocumentID("1"), try reading("Kenia"))])
    engine.readEnded(second.number, at: Revision(7), now: now, wallNow: .now)
    engine.receivedNothing(floor: Revision(7), now: now, wallNow: .now)
    #expect(reader.identity == "new" && reader.observedRevision == Revision(7))
    #expect(reader.answer(LookupKey("KE"))?.revision == Revision(7))
  }

  /// A document is looked up late: it has moved on twice already. A server that is ahead has announced each of the
  /// three as of itself; who comes from there, and starts in between, would not be told otherwise.
  @Test func whoComesFromAnotherServerIsToldOfWhatWasLookedUpEarly() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.insert(BSONDocument(json: country("1", "KE", "Kenya"))), "1", 6, at: 9)
    let late = country("1", "UG", "Uganda")
    try steps.receive(.update(lookedUp: BSONDocument(json: late)), "1", 7, at: 9)
    #expect(steps.news == ["delete KE 7", "upsert KE 6", "upsert UG 7"])
    // Nothing differs here any more; but both keys are announced, as of the change that it took.
    try steps.receive(.update(lookedUp: BSONDocument(json: late)), "1", 8, at: 9)
    #expect(steps.news == ["delete KE 8", "upsert UG 8"])
    #expect(steps.reader.answer(LookupKey("UG"))?.revision == Revision(8))
    // One that carries the document as of itself waits for the moment of the lookup.
    try steps.receive(.replace(BSONDocument(json: late)), "1", 9, at: 9)
    #expect(steps.news == [])
    steps.idle(9)
    #expect(steps.news == ["delete KE 9", "upsert UG 9"])
    // After that moment, what changes nothing is no news.
    try steps.receive(.update(lookedUp: BSONDocument(json: late)), "1", 12, at: 12)
    #expect(steps.news == [])
  }

  /// Two documents of one key: the one that wins was looked up early, so what becomes of the other shows nowhere here.
  @Test func aKeyThatIsEarlyIsAnnouncedForItsOtherDocumentsToo() throws {
    let steps = Steps()
    try steps.load()
    try steps.receive(.insert(BSONDocument(json: country("1", "KE", "first"))), "1", 6, at: 9)
    try steps.receive(.update(lookedUp: BSONDocument(json: country("2", "KE", "second"))), "2", 7, at: 9)
    #expect(steps.news == ["upsert KE 6", "upsert KE 7"])
    steps.receive(.delete, "1", 8, at: 9)
    #expect(steps.news == ["upsert KE 8"])
    steps.receive(.delete, "2", 12, at: 12)
    #expect(steps.news == ["delete KE 12"])
  }
}
