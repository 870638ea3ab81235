// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Failures of the database, with a database of the test's own.
@Suite struct FaultTests {
  @Test func lookupsGoOnWhileTheDatabaseIsDown() throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        try test.agents.insert(Documents.agent("a", description: "before"))
        let server = try test.server { $0.ttl = .seconds(1) }
        let strict = try test.server {
          $0.ttl = .seconds(1)
          $0.maximumStaleness = .milliseconds(1500)
        }
        let client = try server.client()
        let strictClient = try strict.client()
        let before = try client.agent("a")
        #expect(!before.isStale)
        #expect(try strictClient.agent("a").status == .ok)
        let watch = try Watch.open(server, .init(progressMilliseconds: 50))

        try database.kill()
        try poll("answers are marked stale past the TTL") {
          let reply = try client.agent("a")
          #expect(reply.status == .ok)
          #expect(reply.content == "before" && reply.etag == before.etag && reply.revision == before.revision)
          #expect(reply.isStale == (reply.ageMilliseconds > 1000))
          return reply.isStale
        }
        #expect(try client.agent("a").maxAgeSeconds == 0)
        #expect(try client.status().agents.isValid == false)
        #expect(try client.listAgents().keys == ["a"])
        #expect(try client.agent("nobody").code == .notFound)
        #expect(try client.agent("a", .init(maxStalenessMilliseconds: 500)).code == .unavailable)
        try poll("past the limit there is no answer") { try strictClient.agent("a").code == .unavailable }
        let refused = try strictClient.agent("a")
        #expect(refused.replyMetadata["configlookup-epoch"] == before.epoch)
        #expect(try watch.next().kind == .progress, "a watch stays open")

        try database.start()
        try test.agents.replace(Documents.selector("a:1.0.0"), with: Documents.agent("a", description: "after"))
        try poll("the cache follows again", timeout: .seconds(40)) { try client.agent("a").content == "after" }
        try poll("nothing is stale any more") { try !client.agent("a").isStale }
        #expect(try watch.nextChange().key == "a")
        try poll("the strict one answers again") { try strictClient.agent("a").content == "after" }
        #expect(try client.agent("a").epoch == before.epoch, "the same database")
        #expect(try client.status().agents.drift == 0)
      }
    }
  }

  @Test func aWriterThroughTwoKills() throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        let server = try test.server()
        let watch = try Watch.open(server, .init(entities: [1], includesValues: true))
        let (agents, isDone) = (test.agents, Switch())
        let written = Locked(0)
        var random = SeededRandom.fresh("a writer through two kills")
        let seed = random.next()
        let writer = Background("writer") {
          var random = SeededRandom(seed: seed)
          while !isDone.isOn {
            let key = "k\(random.below(30))"
            let number = written.withLock { $0 }
            do throws(MongoError) {
              if random.once(in: 5) {
                try agents.delete(try selector(key))
              } else {
                try agents.replace(try selector(key), with: try document(key, number))
              }
              written.withLock { $0 += 1 }
            } catch {
              // The database is down: the outcome of the write can be read only from the collection.
            }
          }
        }
        for kill in 1...2 {
          try poll("the writer is at work") { written.withLock { $0 } >= kill * 150 }
          try database.kill()
          try database.start()
          let count = written.withLock { $0 }
          try poll("the writer goes on") { written.withLock { $0 } >= count + 50 }
        }
        isDone.turnOn()
        try writer.finish()
        try test.agents.insert(Documents.agent("fence"))
        let client = try server.client()
        try poll("the cache has come to the last write", timeout: .seconds(40)) {
          try client.agent("fence").status == .ok
        }

        let stored = try storedContents(test)
        #expect(try servedContents(client) == stored)
        var followed: [String: String] = [:]
        var isLost = false
        while true {
          let notice = try watch.nextChange()
          switch notice.kind {
          case .upsert: followed[notice.key] = notice.content
          case .delete: followed[notice.key] = nil
          default: isLost = true
          }
          if notice.key == "fence" { break }
        }
        if isLost { followed = try servedContents(client) }
        #expect(followed == stored, "what a watcher holds is what the collection holds")
        #expect(try client.status().agents.drift == 0)
      }
    }
  }

  /// The server rejects the resume token: the collection is read again, and exactly the differences are announced.
  @Test(arguments: [280, 286]) func historyLost(code: Int) throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        for name in ["changed", "deleted", "left", "same"] { try test.agents.insert(Documents.agent(name)) }
        let server = try test.server()
        let client = try server.client()
        let watch = try Watch.open(server, .init(entities: [1]))
        let before = try client.agent("same")

        try test.failGetMore(code: code)
        try poll("the stream is lost") { try !client.status().agents.isStreamActive }
        try test.agents.update(Documents.selector("changed:1.0.0"), Documents.set("description", "new"))
        try test.agents.update(Documents.selector("changed:1.0.0"), Documents.set("description", "newer"))
        try test.agents.delete(Documents.selector("deleted:1.0.0"))
        try test.agents.update(Documents.selector("left:1.0.0"), Documents.set("status", "archived"))
        try test.agents.insert(Documents.agent("added"))
        try test.agents.insert(Documents.agent("came and went"))
        try test.agents.delete(Documents.selector("came and went:1.0.0"))
        #expect(try client.agent("changed").content == "an agent", "lookups go on")
        try test.stopFailing()
        try poll("the stream is back", timeout: .seconds(40)) { try client.status().agents.isStreamActive }

        try test.agents.insert(Documents.agent("fence"))
        let notices = try watch.changes(before: "fence")
        #expect(
          Set(notices.map { "\($0.kind) \($0.key) \($0.reason)" }) == [
            "upsert changed resync", "delete deleted resync", "delete left resync", "upsert added resync",
          ])
        #expect(notices.count == 4)
        #expect(try client.agent("changed").content == "newer")
        let after = try client.agent("same")
        #expect(after.etag == before.etag && after.revision == before.revision)
        let status = try client.status().agents
        #expect(status.resyncs >= 1 && status.drift == 0)
      }
    }
  }

  @Test func aCollectionDroppedAndMadeAgain() throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        for name in ["a", "b"] { try test.agents.insert(Documents.agent(name)) }
        let server = try test.server()
        let client = try server.client()
        let watch = try Watch.open(server)
        try test.agents.drop()
        let gone = try watch.nextChanges(2)
        #expect(Set(gone.map { "\($0.kind) \($0.key)" }) == ["delete a", "delete b"])
        #expect(try client.agent("a").code == .notFound)
        try test.agents.insert(Documents.agent("a", description: "again"))
        let back = try watch.nextChange()
        #expect(back.kind == .upsert && back.key == "a")
        #expect(try client.agent("a").content == "again")
        #expect(back.revision > gone[0].revision)
      }
    }
  }

  @Test func anotherCollectionRenamedOverIt() throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        for name in ["changed", "gone", "same"] { try test.agents.insert(Documents.agent(name)) }
        let server = try test.server()
        let client = try server.client()
        let watch = try Watch.open(server)
        let namespace = try #require(MongoNamespace("\(test.name).fresh"))
        let other = MongoWriter(pool: test.pool, namespace: namespace)
        try other.insert(Documents.agent("changed", description: "new"))
        try other.insert(Documents.agent("same"))
        try other.insert(Documents.agent("added"))
        try test.command(
          "{\"renameCollection\": \"\(test.name).fresh\", \"to\": \"\(test.name).agents\", \"dropTarget\": true}")
        let notices = try watch.nextChanges(3)
        #expect(Set(notices.map { "\($0.kind) \($0.key)" }) == ["upsert changed", "delete gone", "upsert added"])
        #expect(try client.agent("changed").content == "new")
        try test.agents.insert(Documents.agent("fence"))
        #expect(try watch.changes(before: "fence").isEmpty, "nothing but the difference")
      }
    }
  }

  @Test func theReloadOfTheTTLFindsNothingWhenAllIsWell() throws {
    try withDeployment { test in
      let server = try test.server { $0.ttl = .seconds(1) }
      let client = try server.client()
      var loaded = try client.status().agents.loadedAt
      var reloads = 0
      var number = 0
      while reloads < 3 {
        number += 1
        try test.agents.replace(
          Documents.selector("k\(number % 20):1.0.0"),
          with: Documents.agent("k\(number % 20)", description: "\(number)"))
        let status = try client.status().agents
        if status.loadedAt > loaded { (loaded, reloads) = (status.loadedAt, reloads + 1) }
        try #require(number < 100_000)
      }
      #expect(try client.status().agents.drift == 0)
      #expect(try client.status().agents.resyncs == 0)
      #expect(server.log.lines(event: "drift").isEmpty)
      #expect(try !client.agent("k1").isStale)
    }
  }

  @Test func aFrozenDatabaseIsWaitedFor() throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        try test.agents.insert(Documents.agent("a", description: "before"))
        let server = try test.server { $0.ttl = .seconds(1) }
        let client = try server.client()
        database.pause()
        try poll("answers are marked stale past the TTL") { try client.agent("a").isStale }
        #expect(try client.agent("a").content == "before")
        database.resume()
        try test.agents.replace(Documents.selector("a:1.0.0"), with: Documents.agent("a", description: "after"))
        try poll("the cache follows again") { try client.agent("a").content == "after" }
        #expect(try client.status().agents.resyncs == 0)
      }
    }
  }
}

private func selector(_ key: String) throws(MongoError) -> BSONDocument {
  try made { try Documents.selector("\(key):1.0.0") }
}

private func document(_ key: String, _ number: Int) throws(MongoError) -> BSONDocument {
  try made { try Documents.agent(key, description: "\(number)") }
}

private func made(_ body: () throws -> BSONDocument) throws(MongoError) -> BSONDocument {
  guard let document = try? body() else { preconditionFailure("the test's documents are JSON") }
  return document
}

/// The contents of the collection: description by agent_id.
private func storedContents(_ test: Deployment) throws -> [String: String] {
  let lines = try test.database.python(
    "for d in client[arguments[0]].agents.find({'status': 'active'}): print(d['agent_id'] + '=' + d['description'])",
    [test.name])
  return Dictionary(
    uniqueKeysWithValues: lines.map { line in
      let parts = line.split(separator: "=")
      return (String(parts[0]), String(parts[1]))
    })
}

/// The contents that the server serves: description by agent_id.
private func servedContents(_ client: TestClient) throws -> [String: String] {
  let keys = try client.listAgents(100).keys
  return try Dictionary(uniqueKeysWithValues: keys.map { ($0, try client.agent($0).content) })
}
