// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

/// Tests of snapshots, lost connections and lost history: no change is lost, and no answer goes back.
struct ReloadTests {
  @Test func changesDuringTheSnapshot() throws {
    let harness = CacheHarness()
    for index in 0..<20 { try harness.source.put(country("\(index + 10)", "C\(index + 10)", "old")) }
    // While row 15 is read, a change occurs before it and one after it, a deletion on either side, and an insert.
    harness.source.setOnRow { id in
      guard id.text == "15" else { return }
      _ = try? harness.source.put(country("11", "C11", "new"))
      _ = try? harness.source.update(country("28", "C28", "new"))
      harness.source.delete("12")
      harness.source.delete("27")
      _ = try? harness.source.put(country("05", "C05", "new"))
    }
    harness.cache.start()
    defer {
      harness.source.setOnRow(nil)
      harness.cache.stop()
    }
    try poll("the cache is warm") { harness.cache.reader.isLoaded }
    #expect(harness.name("C11") == "new")
    #expect(harness.name("C28") == "new")
    #expect(harness.name("C12") == nil)
    #expect(harness.name("C27") == nil)
    #expect(harness.name("C05") == "new")
    #expect(harness.cache.health.size == 19)
    #expect(harness.notices.isEmpty)
  }

  @Test func nothingIsPublishedBeforeTheStreamHasCaughtUp() throws {
    let harness = CacheHarness()
    try harness.source.put(country("1", "KE", "old"))
    let read = Locked(false)
    harness.source.setOnRow { _ in
      // The snapshot has the old state, and the change has not been delivered yet.
      harness.source.setHoldingDeliveries(true)
      _ = try? harness.source.put(country("1", "KE", "new"))
      read.withLock { $0 = true }
    }
    harness.cache.start()
    defer {
      harness.source.setHoldingDeliveries(false)
      harness.cache.stop()
    }
    try poll("the snapshot is read") { read.withLock { $0 } && harness.source.reads == 1 }
    #expect(!harness.cache.reader.isLoaded)
    #expect(harness.name("KE") == nil)
    harness.source.setOnRow(nil)
    harness.source.setHoldingDeliveries(false)
    try poll("the cache is warm") { harness.cache.reader.isLoaded }
    #expect(harness.name("KE") == "new")
  }

  @Test func disconnectAndResume() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      harness.source.setConnected(false)
      try harness.source.put(country("1", "KE", "Kenia"))
      try harness.source.put(country("2", "UG", "Uganda"))
      harness.source.delete("2")
      try poll("the stream is seen to be gone") { !harness.cache.health.isStreamActive }
      #expect(harness.name("KE") == "Kenya")
      harness.source.setConnected(true)
      try harness.settle()
      #expect(harness.name("KE") == "Kenia")
      // The stream was resumed: each change was delivered, and no reload was needed.
      #expect(
        harness.notices == [
          "upsert KE change_stream:replace", "upsert UG change_stream:insert", "delete UG change_stream:delete",
        ])
      #expect(harness.source.reads == 1)
      #expect(harness.cache.health.reconnects == 1)
      #expect(harness.cache.health.resyncs == 0)
    }
  }

  @Test func historyLostAnnouncesExactlyTheDifference() throws {
    let seed = ["KE", "UG", "TZ", "RW", "BI"].map { country($0, $0, "old") }
    try CacheHarness.run(seed: seed) { harness in
      harness.source.setConnected(false)
      try harness.source.put(country("KE", "KE", "new"))
      harness.source.delete("UG")
      try harness.source.put(country("SS", "SS", "new"))
      try harness.source.put(country("TZ", "TZ", "other"))
      try harness.source.put(country("TZ", "TZ", "old"))
      harness.source.disconnect(forgettingHistory: true)
      harness.source.setConnected(true)
      try poll("the cache has resynced") { harness.cache.health.resyncs == 1 }
      try harness.settle()
      #expect(Set(harness.notices) == ["upsert KE resync", "delete UG resync", "upsert SS resync"])
      #expect(harness.notices.count == 3)
      #expect(harness.name("KE") == "new")
      #expect(harness.name("UG") == nil)
      #expect(harness.name("RW") == "old")
      // Revisions increase, also for a value that returned to its earlier state.
      for invalidation in harness.invalidations { #expect(invalidation.revision > Revision(1 << 32)) }
    }
  }

  @Test func dropIsAnnouncedKeyByKey() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya"), country("2", "UG", "Uganda")]) { harness in
      harness.source.drop()
      try harness.source.put(country("3", "TZ", "Tanzania"))
      try poll("the cache has resynced") { harness.cache.health.resyncs == 1 }
      try harness.settle()
      #expect(Set(harness.notices).isSuperset(of: ["delete KE resync", "delete UG resync"]))
      #expect(harness.name("TZ") == "Tanzania")
      #expect(harness.cache.health.size == 1)
    }
  }

  @Test func ttlReloadFindsDrift() throws {
    let seed = [country("1", "KE", "Kenya"), country("2", "UG", "Uganda"), country("3", "TZ", "Tanzania")]
    try CacheHarness.run(ttl: .seconds(300), seed: seed) { harness in
      try harness.source.putSilently(country("1", "KE", "missed"))
      harness.source.deleteSilently("2")
      harness.clock.advance(by: .seconds(301))
      // A stream that did not deliver these changes may never deliver any. Another one is opened, beside which the
      // whole collection is read again.
      try poll("a new stream carries on") { harness.cache.health.resyncs == 1 }
      #expect(harness.source.opens == 2)
      #expect(harness.name("KE") == "missed")
      #expect(harness.name("UG") == nil)
      #expect(harness.cache.health.drift == 2)
      #expect(Set(harness.notices) == ["upsert KE ttl_reload", "delete UG ttl_reload"])
      #expect(harness.log.lines(event: "drift").count == 1)
      // The next reload finds no difference.
      harness.clock.advance(by: .seconds(301))
      try poll("another reload is done") { harness.cache.health.reloads == 4 }
      #expect(harness.cache.health.drift == 2 && harness.source.opens == 2)
    }
  }

  @Test func changesDuringATTLReloadAreNoDrift() throws {
    let seed = (10..<30).map { country("\($0)", "C\($0)", "old") }
    try CacheHarness.run(seed: seed) { harness in
      harness.source.setOnRow { id in
        guard id.text == "20" else { return }
        _ = try? harness.source.put(country("12", "C12", "new"))
        _ = try? harness.source.update(country("25", "C25", "new"))
        harness.source.delete("13")
        harness.source.delete("26")
      }
      harness.clock.advance(by: .seconds(301))
      try poll("the reload is done") { harness.cache.health.reloads == 2 }
      try harness.settle()
      #expect(harness.cache.health.drift == 0)
      #expect(harness.notices.allSatisfy { $0.contains("change_stream") })
      #expect(harness.name("C12") == "new")
      #expect(harness.name("C25") == "new")
      #expect(harness.cache.health.size == 18)
    }
  }

  @Test func failedReadIsTriedAgain() throws {
    let harness = CacheHarness()
    try harness.source.put(country("1", "KE", "Kenya"))
    for _ in 0..<3 { harness.source.failNextRead(SourceError(.transient, "cut")) }
    harness.cache.start()
    defer { harness.cache.stop() }
    try poll("the cache is warm") { harness.cache.reader.isLoaded }
    #expect(harness.name("KE") == "Kenya")
    // Repeated identical errors result in one line.
    #expect(harness.log.lines(event: "read_failed").count == 1)
  }

  @Test func aPositionThatIsRefusedAgainAndAgainIsGivenUp() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      for _ in 0..<100 {
        harness.source.failNextOpen(SourceError(.transient, code: 999, "no", isFromServer: true))
      }
      harness.source.disconnect()
      try poll("the position is refused") { harness.cache.health.sourceError == "no" }
      #expect(harness.log.lines(event: "history_lost").isEmpty)
      harness.clock.advance(by: .seconds(31))
      try poll("the cache has resynced") { harness.cache.health.resyncs == 1 }
      #expect(harness.notices.isEmpty)
    }
  }

  @Test func manyWhoAskGetOneReload() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      try harness.source.putSilently(country("1", "KE", "Kenia"))
      for _ in 0..<100 { harness.cache.reload() }
      try poll("the reload is done") { harness.name("KE") == "Kenia" }
      try harness.settle()
      #expect(harness.notices == ["upsert KE manual"])
      // Requests during a reload share one more reload. A further one belongs to the new stream, which the difference
      // causes.
      try poll("a new stream carries on") { harness.cache.health.resyncs == 1 }
      #expect(harness.source.reads <= 4)
    }
  }

  /// Regression test: repeated requests caused one reload after the other without a pause.
  @Test func reloadsByHandAreSomeSecondsApart() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      #expect(harness.cache.reload() == .zero)
      try poll("the first reload is done") { harness.source.reads == 2 }
      try poll("the next one waits") { harness.cache.reload() > .seconds(4) }
      try harness.source.putSilently(country("1", "KE", "Kenia"))
      harness.clock.advance(by: .seconds(2))
      let wait = harness.cache.reload()
      #expect(wait > .zero && wait <= .seconds(3), "those who ask in between share it: \(wait)")
      try harness.source.put(country("2", "UG", "Uganda"))
      try harness.settle()
      #expect(harness.source.reads == 2 && harness.name("KE") == "Kenya")
      harness.clock.advance(by: .seconds(4))
      try poll("the second reload is done") { harness.name("KE") == "Kenia" }
      // The difference opens a new stream, beside which the collection is read once more.
      try poll("a new stream carries on") { harness.cache.health.resyncs == 1 }
      #expect(harness.source.reads == 4)
    }
  }

  @Test func contentsAgeWhileTheSourceIsGone() throws {
    try CacheHarness.run(ttl: .seconds(10), seed: [country("1", "KE", "Kenya")]) { harness in
      harness.source.setConnected(false)
      try poll("the stream is seen to be gone") { !harness.cache.health.isStreamActive }
      harness.clock.advance(by: .seconds(9))
      #expect(harness.cache.reader.isValid)
      harness.clock.advance(by: .seconds(2))
      #expect(!harness.cache.reader.isValid)
      #expect(harness.cache.reader.ageMilliseconds >= 11_000)
      // Lookups still return an answer.
      #expect(harness.name("KE") == "Kenya")
      harness.source.setConnected(true)
      try poll("the contents are confirmed again") { harness.cache.reader.isValid }
    }
  }

  @Test func anotherDatabaseIsReadAnew() throws {
    try CacheHarness.run(seed: [country("1", "KE", "Kenya")]) { harness in
      let generation = harness.cache.reader.identityGeneration
      harness.source.setIdentity("another")
      harness.source.disconnect()
      try poll("the cache has resynced") { harness.cache.health.resyncs == 1 }
      #expect(harness.cache.reader.identityGeneration == generation + 1)
      #expect(harness.log.lines(event: "database_changed").count == 1)
    }
  }
}
