// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

/// Tests of each kind of change of a document, and of the resulting answer.
struct ChangeTests {
  @Test func warmBeforeServing() throws {
    let harness = CacheHarness()
    try harness.source.put(country("1", "KE", "Kenya"))
    harness.source.setConnected(false)
    harness.cache.start()
    defer { harness.cache.stop() }
    try poll("the cache says why") { harness.cache.health.sourceError != nil }
    #expect(!harness.cache.reader.isLoaded)
    #expect(!harness.cache.health.isValid)
    harness.source.setConnected(true)
    try poll("the cache is warm") { harness.cache.reader.isLoaded }
    #expect(harness.name("KE") == "Kenya")
    #expect(harness.cache.health.isValid)
    // A load announces nothing, because no other state has been announced before.
    #expect(harness.notices.isEmpty)
  }

  @Test func insertUpdateReplaceDelete() throws {
    try CacheHarness.run { harness in
      let inserted = try harness.source.put(country("1", "KE", "Kenya"))
      try harness.settle()
      #expect(harness.name("KE") == "Kenya")
      #expect(harness.revision("KE") == inserted)
      let updated = try harness.source.update(country("1", "KE", "Kenia"))
      try harness.settle()
      #expect(harness.name("KE") == "Kenia")
      #expect(harness.revision("KE") == updated)
      try harness.source.put(country("1", "KE", "Republic of Kenya"))
      try harness.settle()
      let deleted = harness.source.delete("1")
      try harness.settle()
      #expect(harness.name("KE") == nil)
      #expect(
        harness.notices == [
          "upsert KE change_stream:insert", "upsert KE change_stream:update", "upsert KE change_stream:replace",
          "delete KE change_stream:delete",
        ])
      let last = try #require(harness.invalidations.last)
      #expect(last.revision == deleted)
      #expect(last.itemID == "1")
      #expect(last.previousETag != nil)
      #expect(harness.cache.health.size == 0)
    }
  }

  @Test func theLogSaysWhetherUpdatesHaveImages() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      for (step, keepsImage) in [false, false, true, true, false].enumerated() {
        let updated = try harness.source.update(country("1", "KE", "\(step)"), keepsImage: keepsImage)
        try harness.settle()
        #expect(harness.name("KE") == "\(step)" && harness.revision("KE") == updated)
      }
      #expect(harness.log.lines(event: "images_missing").count == 2)
      #expect(harness.log.lines(event: "images_used").count == 1)
    }
  }

  @Test func leavesTheFilterAndEntersIt() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      try harness.source.update(country("1", "KE", "Kenya", active: false))
      try harness.settle()
      #expect(harness.name("KE") == nil)
      try harness.source.update(country("1", "KE", "Kenya"))
      try harness.settle()
      #expect(harness.name("KE") == "Kenya")
      #expect(harness.notices == ["delete KE change_stream:update", "upsert KE change_stream:update"])
    }
  }

  @Test func changesItsKey() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      try harness.source.update(country("1", "EK", "Kenya"))
      try harness.settle()
      #expect(harness.name("KE") == nil)
      #expect(harness.name("EK") == "Kenya")
      #expect(Set(harness.notices) == ["delete KE change_stream:update", "upsert EK change_stream:update"])
    }
  }

  @Test func twoDocumentsForOneKey() throws {
    let seed = [country("1", "KE", "old", rank: 1), country("2", "KE", "new", rank: 2)]
    try CacheHarness.run(seed: seed) { harness in
      #expect(harness.name("KE") == "new")
      #expect(harness.log.lines(event: "key_claimed_twice").count == 1)
      // The document that loses the key changes. The answer remains the same, so nothing is announced.
      try harness.source.put(country("1", "KE", "older", rank: 1))
      try harness.settle()
      #expect(harness.notices.isEmpty)
      // The winner is deleted. The next document is served, at the revision of that change.
      let deleted = harness.source.delete("2")
      try harness.settle()
      #expect(harness.name("KE") == "older")
      #expect(harness.revision("KE") == deleted)
      #expect(harness.notices == ["upsert KE change_stream:delete"])
      #expect(harness.invalidations.first?.itemID == "1")
    }
  }

  @Test func equalRankIsSettledByID() throws {
    try CacheHarness.run(seed: [country("b", "KE", "second"), country("a", "KE", "first")]) { harness in
      #expect(harness.name("KE") == "second")
    }
  }

  @Test func whatChangesNothingIsNotAnnounced() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      let etag = harness.cache.reader.answer(LookupKey("KE"))?.entry.etagText
      let revision = try harness.source.put(
        #"{"_id": "1", "code": "KE", "name": "Kenya", "active": true, "unknown": 7}"#)
      try harness.settle()
      #expect(harness.notices.isEmpty)
      #expect(harness.cache.reader.answer(LookupKey("KE"))?.entry.etagText == etag)
      // The key itself has reached the revision of the write.
      #expect(harness.revision("KE") == revision)
    }
  }

  /// Every answer that can be looked up is announced, for every selector. An answer of members is announced with each
  /// change of a member.
  @Test func answersOfEverySelectorAreAnnounced() throws {
    let seed = [country("1", "KE", "Kenya", rank: 1, continent: "Africa")]
    try CacheHarness.run(seed: seed) { harness in
      let africa = LookupKey("Africa", space: 1)
      let inserted = try harness.source.put(country("2", "UG", "Uganda", rank: 2, continent: "Africa"))
      try harness.settle()
      let answer = try #require(harness.cache.reader.answer(africa))
      #expect(answer.entry.key.text == "KE" && answer.otherNames == [Array("UG".utf8)])
      #expect(answer.revision == inserted)
      #expect(harness.notices == ["upsert UG change_stream:insert", "upsert Africa change_stream:insert"])
      // The value of the answer remains the same, and another of its members changes.
      try harness.source.put(country("2", "UG", "Republic of Uganda", rank: 2, continent: "Africa"))
      try harness.settle()
      #expect(harness.notices.suffix(2) == ["upsert UG change_stream:replace", "upsert Africa change_stream:replace"])
      harness.source.delete("1")
      try harness.settle()
      #expect(harness.cache.reader.answer(africa)?.entry.key.text == "UG")
      #expect(harness.cache.reader.answer(africa)?.otherNames.isEmpty == true)
      #expect(harness.notices.suffix(2) == ["delete KE change_stream:delete", "upsert Africa change_stream:delete"])
      #expect(harness.cache.health.size == 1, "keys of the primary selector count")
    }
  }

  /// Regardless of the order of events, a second document of a key is an error that must be reported to its authors.
  @Test func aSecondDocumentOfAKeyIsReported() throws {
    try CacheHarness.run(seed: [country("1", "KE", "first", rank: 5, continent: "Africa")]) { harness in
      #expect(harness.cache.health.conflicts.isEmpty)
      try harness.source.put(country("2", "KE", "second", rank: 1, continent: "Africa"))
      try harness.settle()
      func conflicts() -> [[String]] { harness.cache.health.conflicts.map { [$0.cacheKey, $0.wins, $0.loses] } }
      #expect(conflicts() == [["country:KE", "1", "2"]])
      #expect(harness.log.lines(event: "key_claimed_twice").count == 1)
      try harness.source.put(country("2", "KE", "second", rank: 9, continent: "Africa"))
      try harness.settle()
      #expect(conflicts() == [["country:KE", "2", "1"]])
      #expect(harness.log.lines(event: "key_claimed_twice").count == 2)
      harness.source.delete("1")
      try harness.settle()
      #expect(conflicts().isEmpty && harness.cache.health.conflictCount == 0)
    }
  }

  /// Two documents of one key win alternately. An answer of members always contains exactly one of them.
  @Test func aMemberThatLosesItsKeyIsReplacedByTheOneThatWins() throws {
    let seed = [country("1", "KE", "first", continent: "Africa"), country("2", "UG", "Uganda", continent: "Africa")]
    try CacheHarness.run(seed: seed) { harness in
      let africa = LookupKey("Africa", space: 1)
      func members() -> [String] {
        (harness.cache.reader.answer(africa).map { [$0.entry] + $0.others } ?? []).map(\.itemID)
      }
      #expect(members() == ["1", "2"])
      try harness.source.put(country("3", "KE", "second", rank: 5, continent: "Europe"))
      try harness.settle()
      #expect(members() == ["2"], "its key is another document's now")
      harness.source.delete("3")
      try harness.settle()
      #expect(members() == ["1", "2"])
    }
  }

  @Test func badDocumentKeepsTheLastGood() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya"), country("2", "UG", "Uganda")]) { harness in
      try harness.source.put(#"{"_id": "1", "code": "KE", "name": 7, "active": true}"#)
      try harness.source.put(#"{"_id": "3", "code": "TZ", "active": true}"#)
      try harness.settle()
      #expect(harness.name("KE") == "Kenya")
      #expect(harness.name("UG") == "Uganda")
      #expect(harness.name("TZ") == nil)
      let rejected = harness.cache.health.rejected
      #expect(rejected.map(\.itemID) == ["1", "3"])
      #expect(rejected.map(\.field) == ["name", "name"])
      #expect(rejected.map(\.problem) == ["is an int32, not a string", "is missing"])
      #expect(harness.log.lines(event: "document_rejected").count == 2)
      #expect(harness.notices.isEmpty)

      // A reload reads the same documents, and still has the last valid version.
      harness.cache.reload()
      try poll("the reload is done") { harness.cache.health.reloads == 2 }
      #expect(harness.name("KE") == "Kenya")
      #expect(harness.cache.health.rejectedCount == 2)

      // An invalid document outside of the filter is removed. A corrected document is served.
      try harness.source.put(#"{"_id": "1", "code": "KE", "name": 7, "active": false}"#)
      try harness.source.put(country("3", "TZ", "Tanzania"))
      try harness.settle()
      #expect(harness.name("KE") == nil)
      #expect(harness.name("TZ") == "Tanzania")
      #expect(harness.cache.health.rejectedCount == 0)
    }
  }

  @Test func unknownOperationReloads() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      try harness.source.putSilently(country("2", "UG", "Uganda"))
      harness.source.sendUnknownOperation()
      try poll("the reload found what the stream did not bring") { harness.name("UG") == "Uganda" }
      #expect(harness.notices == ["upsert UG resync"])
    }
  }

  @Test func keysAreBytes() throws {
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}")
    try CacheHarness.run(seed: [country("1", composed, "one"), country("2", decomposed, "two")]) { harness in
      #expect(harness.name(composed) == "one")
      #expect(harness.name(decomposed) == "two")
      #expect(harness.cache.health.size == 2)
    }
  }

  /// MongoDB compares `_id` by value, so a replacement may write the same `_id` in another type. Regression test: the
  /// first version returned when the second was deleted.
  @Test func anIDInAnotherTypeIsTheSameDocument() throws {
    func document(_ id: String, _ name: String) -> String {
      country("ID", "KE", name).replacing("\"ID\"", with: id)
    }
    let forms = [
      "{\"$numberLong\": \"777777\"}", "{\"$numberDouble\": \"777777.0\"}", "{\"$numberDecimal\": \"777777.00\"}",
      "777777",
    ]
    for (loaded, other) in forms.flatMap({ loaded in forms.map { (loaded, $0) } }) {
      try CacheHarness.run(seed: [document(loaded, "first")]) { harness throws in
        let replacement = document(other, "second")
        try harness.source.put(replacement)
        try harness.settle()
        #expect(harness.name("KE") == "second")
        harness.source.delete(try #require(BSONDocument(json: replacement).id))
        try harness.settle()
        #expect(harness.name("KE") == nil, "\(loaded), then \(other)")
        #expect(harness.invalidations.map(\.kind) == [.upsert, .delete])
        #expect(harness.cache.reader.count == 0)
      }
    }
  }

  @Test func aDocumentThatIsTooLargeIsRejectedByName() throws {
    let good = country("1", "KE", "Kenya")
    try CacheHarness.run(seed: [good]) { harness throws in
      // The larger of the model's two texts.
      let text = String(repeating: "x", count: ServedSize.documentBytes)
      try harness.source.put(country("1", "KE", text, continent: "Africa"))
      try harness.settle()
      #expect(harness.name("KE") == "Kenya")
      let line = try #require(harness.log.lines(event: "document_rejected").first)
      #expect(line.contains("\"field\":\"name\"") && line.contains("the limit is 16777216"))
      // The maximum size: the name, preceded by `KE=` and followed by `/0/`.
      try harness.source.put(country("1", "KE", String(text.dropLast(6))))
      try harness.settle()
      #expect(harness.cache.reader.answer(LookupKey("KE"))?.bytes.count == ServedSize.documentBytes)
    }
  }
}
