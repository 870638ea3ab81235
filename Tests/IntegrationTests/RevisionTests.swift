// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Revisions as positions: reading one's own writes, and continuing on another server.
struct RevisionTests {
  /// Runs a write command, as any driver sends it, and returns its `operationTime` as a revision.
  private func write(_ test: Deployment, _ json: String) throws -> UInt64 {
    let reply = try test.pool.command(BSONDocument(json: json), database: test.name)
    let time = reply.withObject { $0.value("operationTime")?.timestamp }
    let (seconds, increment) = try #require(time)
    return Revision(seconds: seconds, increment: increment).rawValue
  }

  private func describe(_ test: Deployment, _ agent: String, _ text: String) throws -> UInt64 {
    try write(
      test,
      """
      {"update": "agents", "updates": [{"q": {"_id": "\(agent):1.0.0"}, "u": {"$set": {"description": "\(text)"}}}]}
      """)
  }

  @Test func whoWritesReadsTheWriteOnEveryServer() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let clients = [try test.server().client(), try test.server().client()]
      for number in 0..<20 {
        let revision = try describe(test, "a", "version \(number)")
        for client in clients {
          let reply = try client.agent("a", .init(minRevision: revision))
          #expect(reply.code == .ok)
          #expect(reply.content == "version \(number)")
          #expect(max(reply.revision, reply.observedRevision) >= revision)
        }
      }
      // A write that changes no answer, and one that removes the answer.
      let idle = try write(
        test, #"{"update": "agents", "updates": [{"q": {"_id": "a:1.0.0"}, "u": {"$set": {"unknown": 1}}}]}"#)
      #expect(try clients[0].agent("a", .init(minRevision: idle)).content == "version 19")
      let gone = try write(test, #"{"delete": "agents", "deletes": [{"q": {"_id": "a:1.0.0"}, "limit": 1}]}"#)
      for client in clients { #expect(try client.agent("a", .init(minRevision: gone)).code == .notFound) }
    }
  }

  @Test func whatCannotBeReachedIsRefusedAndNeverAnsweredOlder() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let client = try test.server().client()
      let found = try client.agent("a")
      let foreign = try client.agent("a", .init(minRevision: found.revision, epoch: "0123456789abcdef"))
      #expect(foreign.code == .failedPrecondition)
      #expect(foreign.status.message.contains("options.epoch"))
      #expect(try client.agent("a", .init(minRevision: found.revision, epoch: found.epoch)).code == .ok)
      // Within the tolerance for clocks, but nothing will be written until then: the lookup waits, and is rejected.
      let ahead = Revision(seconds: Revision(found.observedRevision).seconds + 30, increment: 0).rawValue
      let refused = try client.agent("a", .init(minRevision: ahead))
      #expect(refused.code == .unavailable)
      #expect(refused.status.message.contains("options.min_revision"))
      #expect(refused.replyMetadata["configlookup-epoch"] == found.epoch)
    }
  }

  @Test func aWatcherThatHopsBetweenServersMissesNothing() throws {
    var random = SeededRandom.fresh("aWatcherThatHopsBetweenServersMissesNothing")
    try withDeployment { test in
      let keys = (0..<5).map { "a\($0)" }
      for key in keys { try test.agents.insert(Documents.agent(key)) }
      let servers = [try test.server(), try test.server()]
      let clients = [try servers[0].client(), try servers[1].client()]

      // A position that both servers have observed: a server has no information about changes before its start.
      let ready = try describe(test, keys[0], "ready")
      for client in clients { #expect(try client.agent(keys[0], .init(minRevision: ready)).content == "ready") }
      let first = try Watch(servers[0].address, .init(entities: [1], progressMilliseconds: 20))
      let start = try first.next()
      #expect(start.kind == .progress)
      var position = max(start.revision, ready)
      var etags: [String: String] = [:]
      for key in keys { etags[key] = try clients[0].agent(key).etag }
      var seen: [String: UInt64] = [:]

      for round in 0..<12 {
        for number in 0..<random.below(8) {
          _ = try describe(test, keys[random.below(keys.count)], "round \(round) number \(number)")
        }
        let server = random.below(2)
        let watch = try Watch(
          servers[server].address,
          .init(entities: [1], startRevision: position, epoch: start.epoch, progressMilliseconds: 20))
        var left = random.below(10)
        while left > 0 {
          let notice = try watch.next()
          left -= 1
          #expect(notice.kind != .resync)
          if notice.kind == .progress { continue }
          #expect(notice.revision >= seen[notice.key] ?? 0, "\(notice.key) goes back")
          seen[notice.key] = notice.revision
          etags[notice.key] = notice.etag
          position = max(position, notice.revision)
          // A lookup on the other server, as new as the notice.
          let reply = try clients[1 - server].agent(notice.key, .init(minRevision: notice.revision))
          #expect(reply.code == .ok)
          #expect(reply.revision >= notice.revision)
          #expect(reply.etag == notice.etag || reply.revision > notice.revision)
        }
      }

      // The rest: everything up to a last change, from the position of the watcher.
      _ = try describe(test, keys[0], "the last")
      let watch = try Watch(servers[1].address, .init(entities: [1], startRevision: position, epoch: start.epoch))
      let last = try clients[1].agent(keys[0], .init(minRevision: try describe(test, keys[1], "the very last")))
      #expect(last.content == "the last")
      try poll("the watcher has come to the end") {
        let notice = try watch.nextChange()
        #expect(notice.kind == .upsert)
        etags[notice.key] = notice.etag
        let now = try clients[1].agent(keys[1]).etag
        return notice.key == keys[1] && notice.etag == now
      }
      for key in keys { #expect(try clients[0].agent(key).etag == etags[key], "\(key)") }
    }
  }

  /// A server that is started after the changes replays them from the database's oplog.
  @Test func aServerThatStartsLaterReplaysWhatChangedBefore() throws {
    try withDeployment { test in
      for key in ["a", "b", "c"] { try test.agents.insert(Documents.agent(key)) }
      let first = try test.server()
      let client = try first.client()
      let ready = try describe(test, "a", "ready")
      let position = try client.agent("a", .init(minRevision: ready)).observedRevision
      let epoch = try client.agent("a").epoch
      _ = try describe(test, "b", "changed")
      try test.agents.delete(Documents.selector("c:1.0.0"))
      try test.agents.insert(Documents.agent("d"))
      let last = try describe(test, "a", "changed")

      // If the database is too slow to return the history, a RESYNC replaces it: not in this test.
      let second = try test.server { $0.historyTimeout = .seconds(60) }
      let there = try second.client()
      #expect(try there.agent("a", .init(minRevision: last)).content == "changed")
      let watch = try Watch(second.address, .init(entities: [1], startRevision: position + 1, epoch: epoch))
      #expect(try watch.next().kind == .progress)
      var told: [String] = []
      var notice = try watch.next()
      while notice.kind != .progress {
        told.append("\(notice.kind) \(notice.key) \(notice.reason)")
        if notice.kind == .upsert { #expect(try there.agent(notice.key).etag == notice.etag) }
        notice = try watch.next()
      }
      #expect(
        told == [
          "upsert b change_stream:update", "delete c change_stream:delete", "upsert d change_stream:insert",
          "upsert a change_stream:update",
        ])
    }
  }

  @Test func whatCannotBeReplayedExactlyIsAResync() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let server = try test.server()
      let client = try server.client()
      let found = try client.agent("a")
      func marks(_ request: Watch.Request) throws -> [WatchNotice.Kind] {
        let watch = try Watch(server.address, request)
        return [try watch.next().kind, try watch.next().kind, try watch.next().kind]
      }
      // A start before the server began to follow the stream, one of another database, and one before any database is
      // known.
      let old: Watch.Request = .init(entities: [1], startRevision: 1 << 32)
      #expect(try marks(old) == [.progress, .resync, .progress])
      let foreign: Watch.Request = .init(entities: [1], startRevision: found.observedRevision, epoch: "other")
      #expect(try marks(foreign) == [.progress, .resync, .progress])
      #expect(try marks(.init(entities: [1], startRevision: .max)) == [.progress, .resync, .progress])
      // With an initial state, which follows the RESYNC.
      let both: Watch.Request = .init(entities: [1], startRevision: 1 << 32, sendsInitialState: true)
      #expect(try marks(both) == [.progress, .resync, .upsert])

      // From here on an exact replay is possible: only the changes.
      let revision = try describe(test, "a", "changed")
      let changed = try client.agent("a", .init(minRevision: revision))
      #expect(changed.content == "changed")
      // The revision of the change itself: a database may report a later one to its writer.
      let exact: Watch.Request = .init(entities: [1], startRevision: changed.revision)
      #expect(try marks(exact).prefix(2) == [.progress, .upsert])
    }
  }
}
