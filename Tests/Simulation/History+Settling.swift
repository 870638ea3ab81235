// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees

extension History {
  /// Ends all faults and completes all waiting work. Afterwards every server and every subscriber must have the true
  /// state.
  func settle() {
    log("all comes to rest at \(database.now.short)")
    database.isMajorityLost = false
    for server in servers {
      for source in server.sources { (source.isReachable, source.betweenRows, source.onTheWay) = (true, {}, { _ in }) }
    }
    rest(until: database.now)
    if traits.isRestored, violations.isEmpty { restoreDatabase() }
    if !silent.isEmpty, violations.isEmpty { findDrift() }
    if traits.isRestored || traits.comesLate, violations.isEmpty { followWithoutReading() }
    guard violations.isEmpty else { return }
    let end = database.now
    for subscriber in subscribers where !subscriber.isFinished { take(subscriber, .max) }
    rest(until: end)
    for _ in 0..<2 {
      clock.advance(milliseconds: 1001)
      for server in servers {
        server.worker.fireTimers()
        server.worker.runJobs()
      }
    }
    for subscriber in subscribers where !subscriber.isFinished && violations.isEmpty {
      guard let position = validator.position(subscriber.name), position >= end else {
        validator.report(
          .nothingLost,
          "\(subscriber.name) was never told that all up to \(end.short) had been sent, though all is quiet")
        return
      }
      validator.settled(subscriber.name, at: end)
    }
    lookUpAll(end)
  }

  /// Lets the next reload find the changes that are not in the oplog.
  private func findDrift() {
    // Two reloads, because a read in progress may have begun too early to find the changes. Where a new stream is
    // opened, the collection is read once more.
    for _ in 0..<2 {
      clock.advance(milliseconds: 6000)
      for _ in 0..<60 { advance() }
    }
    let now = database.now
    for attempt in silent { validator.history.acknowledge(attempt, by: now) }
    silent = []
    unsureCollections = []
    for collection in Collection.allCases { recordAnswers(of: collection, at: now) }
    rest(until: now)
  }

  /// Replaces the database by another copy, with other documents in each collection. Streams of the former database
  /// report neither the replacement nor later changes.
  private func restoreDatabase() {
    log("another copy of the database is in its place")
    database.restore()
    for collection in Collection.allCases {
      for _ in 0..<chance.below(3) { writeSilently(to: collection) }
      writeSilently(newDocument(collection))
    }
  }

  /// Changes that are written now must become visible although the collections cannot be read: the streams deliver
  /// them, and deliver transactions completely.
  private func followWithoutReading() {
    for source in servers.flatMap(\.sources) { source.isReadable = false }
    let late = traits.comesLate ? writeLate() : []
    // Later changes in the oplog would be late, too.
    for _ in 0..<30 { advance() }
    for _ in 0..<3 { write() }
    for _ in 0..<30 { advance() }
    rest(until: database.now)
    let now = database.now
    for attempt in late { validator.history.acknowledge(attempt, by: now) }
    unsureCollections = []
    for collection in Collection.allCases { recordAnswers(of: collection, at: now) }
    rest(until: now)
    lookUpAll(now)
    for source in servers.flatMap(\.sources) { source.isReadable = true }
  }

  /// Continues without faults until every cache has observed `revision`.
  private func rest(until revision: Revision) {
    for _ in 0..<60 where violations.isEmpty {
      for _ in 0..<5 { advance() }
      if haveObserved(revision) { return }
    }
    if violations.isEmpty { validator.report(.nothingLost, "a server does not come as far as \(revision.short)") }
  }

  /// Lets every server and every subscriber continue.
  func advance() {
    clock.advance(milliseconds: 25)
    database.tick(&chance)
    for server in servers {
      for collection in Collection.allCases {
        for _ in 0..<3 { server.stepStream(collection) }
        server.stepRead(collection)
      }
      learnWarmth(server)
      server.worker.runJobs()
      server.worker.fireTimers()
    }
  }

  private func haveObserved(_ revision: Revision) -> Bool {
    servers.allSatisfy { server in
      Collection.allCases.allSatisfy { collection in
        let lookup = Lookup("\(collection.entity):nobody", of: server.name)
        guard case .reply(let reply) = server.lookUp(lookup) else { return false }
        return reply.result == .notFound && reply.observed >= revision
      }
    }
  }

  private func lookUpAll(_ end: Revision) {
    for server in servers {
      validator.mustBeWarm(server.name)
      for key in lookupKeys where violations.isEmpty {
        var lookup = Lookup(key, of: server.name)
        lookup.knownRevision = end
        ask(lookup, server)
      }
      for collection in Collection.allCases where violations.isEmpty {
        var lookup = Lookup(PageRequest(of: Self.list(collection), after: nil, size: 100), of: server.name)
        lookup.knownRevision = end
        ask(lookup, server)
      }
    }
  }
}
