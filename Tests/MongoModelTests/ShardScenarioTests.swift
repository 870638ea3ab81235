// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Foundation
internal import MongoModel
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Scenarios of a sharded cluster behind a router.
@Suite(.serialized) struct ShardScenarioTests {
  /// Expects that the server never claims to have observed a change that it does not show.
  private func expectNoClaim(_ bench: ScenarioBench, _ revision: Revision, seconds: Double) throws {
    let end = soon(.seconds(seconds))
    while MonotonicTime.now < end {
      let reply = try bench.client.agent("a")
      if reply.content == "two" { return }
      #expect(reply.observedRevision < revision.rawValue)
      if reply.observedRevision >= revision.rawValue { return }
      usleep(50_000)
    }
  }

  /// 3. One shard is cold: its promise stands still.
  @Test func aColdShardHoldsPositionsBack() throws {
    try withBench(try MongoModel(shards: 2, routers: 1, seed: 3)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      for shard in 0..<2 { bench.model.setNoopInterval(1, shard: shard) }
      try bench.start()
      bench.model.setNoopInterval(nil, shard: 1)
      usleep(1_500_000)
      let watch = try Watch.open(bench.address, .init(progressMilliseconds: 50))
      let revision = try bench.describe("a", "two")
      try expectNoClaim(bench, revision, seconds: 3)
      let progress = try watch.next()
      #expect(progress.kind == .progress)
      #expect(progress.revision < revision.rawValue)
      // One no-op lets the change pass; the lookup of its document is settled by a later one.
      bench.model.setNoopInterval(1, shard: 1)
      #expect(try bench.waits("a", "two", seconds: 10))
      // A watch that resumes at the PROGRESS misses nothing.
      let resumed = try Watch(bench.address, .init(startRevision: progress.revision, epoch: progress.epoch))
      let notice = try resumed.nextChange(timeout: .seconds(10))
      #expect(notice.kind == .upsert)
      #expect(notice.revision == revision.rawValue)
    }
  }

  /// 4. The router answers empty before any shard has answered.
  @Test func anEmptyReplyOfARouterProvesNothing() throws {
    try withBench(try MongoModel(shards: 2, routers: 1, seed: 4)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      for shard in 0..<2 { bench.model.setNoopInterval(1, shard: shard) }
      try bench.start()
      for shard in 0..<2 { bench.model.setShardDelay(2, shard: shard) }
      bench.model.setRouterReportsClock(true)
      let revision = try bench.describe("a", "two")
      try expectNoClaim(bench, revision, seconds: 10)
      #expect(try bench.waits("a", "two", seconds: 10))
    }
  }

  /// 13. A document is moved to another shard, and its insert there comes before its deletion.
  @Test(arguments: [true, false])
  func aDocumentThatMovesToAnotherShardIsFound(_ insertIsFirst: Bool) throws {
    try withBench(try MongoModel(shards: 2, routers: 1, seed: 13)) { bench in
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "one")])
      try bench.model.insert(ScenarioBench.agents, [Documents.agent("other")], shard: 1)
      for shard in 0..<2 { bench.model.setNoopInterval(1, shard: shard) }
      try bench.start()
      func insert() throws {
        try bench.model.insert(ScenarioBench.agents, [Documents.agent("a", description: "two")], shard: 1)
      }
      func delete() throws { try bench.model.delete(ScenarioBench.agents, Documents.selector("a:1.0.0")) }
      if insertIsFirst { try insert() }
      try delete()
      if !insertIsFirst { try insert() }
      #expect(try bench.waits("a", "two", seconds: 10))
      usleep(3_000_000)
      #expect(try bench.content("a") == "two")
    }
  }
}
