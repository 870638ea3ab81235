// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

/// Tests of which keys the changes before the load determine, and which they do not.
struct PastChangesTests {
  private func marks(_ changes: [(UInt64, String, PastChange.Operation)], served: [String] = []) throws -> (
    floor: UInt64, keys: [String]
  ) {
    var past = PastChanges(from: Revision(10), spaces: Country.announcedSpaces)
    for (revision, id, operation) in changes {
      var reading: Reading?
      switch operation {
      case .insert(let document), .replace(let document):
        reading = Reading(document, id: DocumentID(id), as: Country.self)
      default: break
      }
      past.take(PastChange(operation, id: DocumentID(id), revision: Revision(revision)), reading)
    }
    var set = DocumentSet(spaces: Country.keySpaces)
    for json in served {
      let document = try BSONDocument(json: json)
      let id = try #require(document.id)
      _ = set.set(id, Reading(document, id: id, as: Country.self))
    }
    let marks = past.marks(in: set)
    return (past.floor.rawValue, marks.map { "\($0.key.text)@\($0.mark.revision.rawValue)" })
  }

  private func document(_ json: String) throws -> BSONDocument { try BSONDocument(json: json) }

  @Test func insertedReplacedAndDeletedWithinThePast() throws {
    let found = try marks([
      (11, "1", .insert(document(country("1", "KE", "Kenya")))),
      (12, "2", .insert(document(country("2", "UG", "Uganda")))),
      (13, "1", .replace(document(country("1", "TZ", "Tanzania")))),
      (14, "2", .delete),
    ])
    #expect(found.floor == 10)
    #expect(found.keys == ["KE@13", "TZ@13", "UG@14"])
  }

  @Test func aDeleteOfAnUnknownDocumentRaisesTheFloor() throws {
    let found = try marks([
      (11, "1", .insert(document(country("1", "KE", "Kenya")))), (12, "9", .delete),
      (13, "2", .insert(document(country("2", "UG", "Uganda")))), (14, "9", .delete),
    ])
    #expect(found.floor == 13)
    #expect(found.keys == ["UG@13"])
  }

  @Test func aReplaceOfAnUnknownDocumentRaisesTheFloor() throws {
    let found = try marks([
      (11, "1", .replace(document(country("1", "KE", "Kenya")))),
      (12, "1", .replace(document(country("1", "UG", "Uganda")))),
    ])
    #expect(found.floor == 12)
    #expect(found.keys == ["KE@12", "UG@12"])
  }

  @Test func anUpdateOfOtherFieldsLeavesADocumentUnderItsKey() throws {
    let found = try marks(
      [(11, "1", .update(fields: ["name"])), (12, "2", .update(fields: ["rank"]))],
      served: [country("1", "KE", "Kenya"), country("2", "UG", "Uganda", active: false)])
    #expect(found.floor == 10)
    #expect(found.keys == ["KE@11"])
  }

  @Test func anUpdateOfTheKeyIsExactOnlyForAKnownDocument() throws {
    let unknown = try marks([(11, "1", .update(fields: ["code"]))], served: [country("1", "KE", "Kenya")])
    #expect(unknown.floor == 12 && unknown.keys == [])
    let known = try marks(
      [(11, "1", .insert(document(country("1", "UG", "Uganda")))), (12, "1", .update(fields: ["code", "name"]))],
      served: [country("1", "KE", "Kenya")])
    #expect(known.floor == 10 && known.keys == ["KE@12", "UG@12"])
    // The state of the document between the two changes is not known.
    let twice = try marks(
      [
        (11, "1", .insert(document(country("1", "UG", "Uganda")))), (12, "1", .update(fields: ["code"])),
        (13, "1", .update(fields: ["code"])),
      ], served: [country("1", "KE", "Kenya")])
    #expect(twice.floor == 14)
  }

  @Test func aBadDocumentWithoutAGoodOneRaisesTheFloor() throws {
    let bad = #"{"_id": "1", "code": "KE", "active": true}"#
    #expect(try marks([(11, "1", .update(fields: ["name"]))], served: [bad]).floor == 12)
    #expect(try marks([(11, "1", .replace(document(bad)))]).floor == 12)
    // Its last valid version continues to be served, under its own key.
    let known = try marks([
      (11, "1", .insert(document(country("1", "KE", "Kenya")))), (12, "1", .replace(document(bad))),
      (13, "1", .replace(document(country("1", "UG", "Uganda")))),
    ])
    #expect(known.floor == 10 && known.keys == ["KE@13", "UG@13"])
  }

  @Test func whatIsNotUnderstoodRaisesTheFloor() throws {
    let found = try marks([
      (11, "1", .insert(document(country("1", "KE", "Kenya")))), (12, "1", .other("frobnicate")), (13, "1", .delete),
    ])
    #expect(found.floor == 14 && found.keys == [])
  }
}

/// A document with an announced key in each of two spaces.
private struct Sensor: CachedModel {
  static let entity = "sensor"
  static let filter = DocumentFilter.field("active", isOneOf: [.bool(true)])
  static let keyFields: Set<String>? = ["id"]
  static let keySpaces = [KeySpace(selector: "id"), KeySpace(selector: "site", composition: .members)]
  static func keyFields(ofSpace space: UInt8) -> Set<String>? { space == 0 ? ["id"] : ["site"] }

  let id: String
  let site: String

  init(reading document: BSONObject) throws(DocumentProblem) {
    id = try document.string("id")
    site = try document.string("site")
  }

  var key: LookupKey { LookupKey(id) }
  var aliases: [LookupKey] { [LookupKey(site, space: 1)] }
  var precedence: Precedence { Precedence() }

  static func json(_ documentID: String, _ id: String, _ site: String) throws -> BSONDocument {
    try BSONDocument(
      json: #"{"_id": "\#(documentID)", "id": "\#(id)", "site": "\#(site)", "active": true}"#)
  }
}

/// Tests of which keys the changes before the load determine in every announced space.
struct PastKeysOfAllSpacesTests {
  private func marks(
    _ changes: [(UInt64, String, PastChange.Operation)], served: [(String, String, String)]
  ) throws -> (floor: UInt64, keys: Set<String>) {
    var past = PastChanges(from: Revision(10), spaces: Sensor.announcedSpaces)
    for (revision, id, operation) in changes {
      var reading: Reading?
      switch operation {
      case .insert(let document), .replace(let document):
        reading = Reading(document, id: DocumentID(id), as: Sensor.self)
      default: break
      }
      past.take(PastChange(operation, id: DocumentID(id), revision: Revision(revision)), reading)
    }
    var set = DocumentSet(spaces: Sensor.keySpaces)
    for (documentID, id, site) in served {
      _ = set.set(
        DocumentID(documentID),
        Reading(try Sensor.json(documentID, id, site), id: DocumentID(documentID), as: Sensor.self))
    }
    let marks = past.marks(in: set)
    return (past.floor.rawValue, Set(marks.map { "\($0.key.space):\($0.key.text)@\($0.mark.revision.rawValue)" }))
  }

  @Test func everyKeyOfADocumentIsMarked() throws {
    let found = try marks(
      [
        (11, "1", .insert(Sensor.json("1", "a", "x"))), (12, "1", .replace(Sensor.json("1", "a", "y"))),
        (13, "2", .update(fields: ["name"])),
      ],
      served: [("1", "a", "y"), ("2", "b", "z")])
    #expect(found.floor == 10)
    #expect(found.keys == ["0:a@12", "1:x@12", "1:y@12", "0:b@13", "1:z@13"])
    let gone = try marks([(11, "1", .insert(Sensor.json("1", "a", "x"))), (12, "1", .delete)], served: [])
    #expect(gone.keys == ["0:a@12", "1:x@12"])
  }

  @Test func anUpdateOfOneKeyLeavesTheOthers() throws {
    let known = try marks(
      [(11, "1", .insert(Sensor.json("1", "a", "x"))), (12, "1", .update(fields: ["site"]))], served: [("1", "a", "y")])
    #expect(known.floor == 10 && known.keys == ["0:a@12", "1:x@12", "1:y@12"])
    // The previous site is not known.
    let unknown = try marks(
      [(12, "1", .update(fields: ["site"])), (13, "1", .update(fields: ["name"]))], served: [("1", "a", "y")])
    #expect(unknown.floor == 13 && unknown.keys == ["0:a@13", "1:y@13"])
  }

  /// Two documents of one id win it alternately. Whether a document answers its id decides whether it is a member of
  /// its site's answer, although the document itself has not changed.
  @Test func theOtherClaimantsOfAPrimaryKeyAreMarked() throws {
    let found = try marks(
      [(11, "2", .insert(Sensor.json("2", "a", "y"))), (12, "2", .delete)], served: [("1", "a", "x")])
    #expect(found.keys == ["0:a@12", "1:y@12", "1:x@12"])
  }
}

/// Tests of a cache with a receiver for the changes from before it was created.
struct EarlierHistoryTests {
  private struct Told: Sendable {
    var floor = Revision.none
    var invalidations: [Invalidation] = []
    var wasLoaded = false
  }

  private func told(_ source: InMemorySource, window: Duration = .seconds(600)) throws -> Told {
    let told = Locked<Told?>(nil)
    let cacheBox = Locked<ChangeStreamCache<Country>?>(nil)
    var options = ChangeStreamCache<Country>.Options()
    options.historyWindow = window
    let cache = ChangeStreamCache<Country>(
      source: source, options: options,
      onEarlierHistory: { floor, invalidations in
        let isLoaded = cacheBox.withLock { $0 }?.reader.isLoaded ?? false
        told.withLock { $0 = Told(floor: floor, invalidations: invalidations, wasLoaded: isLoaded) }
      })
    cacheBox.withLock { $0 = cache }
    cache.start()
    defer {
      cache.stop()
      cacheBox.withLock { $0 = nil }
    }
    try poll("the cache is warm") { cache.reader.isLoaded }
    return told.withLock { $0 } ?? Told()
  }

  @Test func isToldBeforeTheCacheIsWarm() throws {
    let source = InMemorySource()
    try source.put(country("1", "KE", "Kenya"))
    try source.put(country("2", "UG", "Uganda"))
    try source.update(country("1", "KE", "Kenia"), fields: ["name"])
    let last = source.delete("2")
    let told = try told(source)
    #expect(!told.wasLoaded)
    #expect(told.floor < Revision(last.rawValue - 3))
    #expect(
      told.invalidations.map { "\($0.kind) \($0.key.text) \($0.reason)" } == [
        "upsert KE change_stream:update", "delete UG change_stream:delete",
      ])
    #expect(told.invalidations.last?.revision == last)
  }

  @Test func aSourceThatGoesAwayDoesNotKeepTheCacheFromBeingWarm() throws {
    let reader = CacheReader(entity: "country", ttl: .seconds(300), clock: SystemClock(), onObserved: {})
    var engine = CacheEngine<Country>(
      reader: reader, reloadInterval: .seconds(300), historyTimeout: .seconds(60), logger: .silent,
      outlet: InvalidationOutlet(onInvalidation: { _ in }, onEarlierHistory: { _, _ in }))
    engine.streamOpened(resumed: false, identity: "test")
    let begun = engine.nextRead(reportedTime: Revision(5), now: .now)
    let reload = try #require(begun)
    engine.readEnded(reload.number, at: Revision(5), now: .now, wallNow: .now)
    engine.receivedNothing(.reporting(5, settled: 5))
    #expect(!reader.isLoaded, "the past is to be read first")
    engine.streamClosed(SourceError(.transient, "gone"), historyLost: false)
    engine.openFailed(SourceError(.transient, "gone"))
    #expect(reader.isLoaded)
  }

  @Test func aSourceThatHasForgottenIsAskedForLess() throws {
    let source = InMemorySource()
    try source.put(country("1", "KE", "Kenya"))
    source.disconnect(forgettingHistory: true)
    #expect(try told(source).floor == .none, "warm all the same")
  }
}
