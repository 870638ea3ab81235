// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

@testable internal import ChangeStreamCache

/// Tests of documents that move between the shards of a collection.
struct ShardedKeysTests {
  private static func change(
    _ operation: DocumentChange.Operation, _ revision: UInt64, in region: String? = nil
  ) throws -> DocumentChange {
    let key = try region.map { try BSONDocument(json: "{\"region\": \"\($0)\", \"_id\": \"1\"}") }
    return DocumentChange(operation, id: DocumentID("1"), revision: Revision(revision), shardedKey: key)
  }

  @Test func aDeletionRemovesTheDocumentOfItsOwnKeyOnly() throws {
    let (id, document) = (DocumentID("1"), try BSONDocument(json: country("1", "KE", "Kenya")))
    var keys = ShardedKeys()
    #expect(try keys.admits(Self.change(.delete, 1), id), "the collection is not sharded")
    #expect(try keys.admits(Self.change(.delete, 2, in: "a"), id), "no key is known")
    #expect(try keys.admits(Self.change(.insert(document), 3, in: "b"), id))
    #expect(try !keys.admits(Self.change(.delete, 4, in: "a"), id), "the document has moved to another shard")
    #expect(try keys.admits(Self.change(.delete, 5, in: "b"), id))
    #expect(try keys.admits(Self.change(.delete, 6, in: "a"), id), "the key has gone with its document")
  }

  /// Among the changes that a cache drops when it is too far behind, the document has moved to another shard.
  @Test func aKeyFromBeforeAGapRejectsNoDeletion() throws {
    let reader = CacheReader(entity: "country", ttl: .seconds(300), clock: SystemClock(), onObserved: {})
    var engine = CacheEngine<Country>(
      reader: reader, reloadInterval: .seconds(300), logger: .silent,
      outlet: InvalidationOutlet(onInvalidation: { _ in }, onHistoryStart: { _ in }))
    let document = try BSONDocument(json: country("1", "KE", "Kenya"))
    let reading = Reading(document, id: DocumentID("1"), as: Country.self)
    func load(at revision: UInt64) throws {
      let begun = engine.nextRead(reportedTime: Revision(revision), now: .now)
      let reload = try #require(begun)
      _ = engine.rowsRead(reload.number, [(DocumentID("1"), reading)])
      engine.readEnded(reload.number, at: Revision(revision), now: .now, wallNow: .now)
      engine.receivedNothing(.reporting(revision, settled: revision))
    }
    engine.streamOpened(resumed: false, identity: "test")
    try load(at: 5)
    _ = try engine.received(Self.change(.replace(document), 6, in: "a"), reading, .bounded(6))
    engine.receivedNothing(.reporting(6, settled: 6))
    for revision in 7...UInt64(8 + CacheLimits.waitingChanges) {
      let update = DocumentChange(.updateLookedUp(nil), id: DocumentID("2"), revision: Revision(revision))
      _ = engine.received(update, nil, .bounded(1_000_000))
    }
    try load(at: 1_000_000)
    #expect(reader.answer(LookupKey("KE")) != nil)
    _ = try engine.received(Self.change(.delete, 1_000_001, in: "b"), nil, .bounded(1_000_001))
    engine.receivedNothing(.reporting(1_000_001, settled: 1_000_001))
    #expect(reader.answer(LookupKey("KE")) == nil)
  }
}
