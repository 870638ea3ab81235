internal import Core
internal import Guarantees

extension History {
  /// All faults end, all that waits is done; then every server and every subscriber must have what is true.
  func settle() {
    log("all comes to rest at \(database.now.short)")
    for server in servers {
      for source in server.sources { (source.isReachable, source.betweenRows) = (true, {}) }
    }
    rest(until: database.now)
    if !silent.isEmpty, violations.isEmpty {
      // What no oplog told of is found by the next reload.
      clock.advance(milliseconds: 6000)
      for _ in 0..<40 { advance() }
      let now = database.now
      for attempt in silent { validator.history.acknowledge(attempt, by: now) }
      rest(until: now)
    }
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

  /// Goes on without faults until every cache has observed `revision`.
  private func rest(until revision: Revision) {
    for _ in 0..<60 where violations.isEmpty {
      for _ in 0..<5 { advance() }
      if haveObserved(revision) { return }
    }
    if violations.isEmpty { validator.report(.nothingLost, "a server does not come as far as \(revision.short)") }
  }

  /// Everybody goes on.
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
        guard case .reply(let reply) = server.lookUp(lookup, epoch: "") else { return false }
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
    }
  }
}
