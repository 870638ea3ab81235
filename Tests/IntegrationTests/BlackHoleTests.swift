// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import Foundation
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

@testable internal import MongoSource

/// Connections to the database on which no more bytes arrive and which are not closed, as a firewall causes them when
/// it loses its state.
@Suite struct BlackHoleTests {
  /// A collection is dropped and created again while every open connection is dead: the old contents are not served for
  /// longer than a stream and a read may wait for one reply.
  @Test func aDroppedCollectionIsReadOnANewConnection() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let proxy = try FaultProxy(to: test.database.port, seed: 1)
      defer { proxy.stop() }
      let server = try test.server {
        // A direct connection: the driver must not connect to the address that the database advertises, which bypasses
        // the proxy.
        $0.mongoDBURI = "mongodb://127.0.0.1:\(proxy.port)/?directConnection=true&appname=\(test.name)"
      }
      let client = try server.client()
      #expect(try client.agent("a").status == .ok)
      proxy.stallOpen()
      let began = MonotonicTime.now
      try test.agents.drop()
      try test.agents.insert(Documents.agent("b"))
      try poll("the new document is served", timeout: .seconds(60)) {
        try client.agent("b").status == .ok && client.agent("a").status != .ok
      }
      let seconds = MonotonicTime.now.duration(since: began).seconds
      // Ten seconds for the stream's reply, and as many for closing its cursor and for the next stream.
      #expect(seconds < 45, "\(seconds) s")
      let lost = server.log.lines(event: "stream_lost")
      #expect(lost.contains { $0.contains("after waiting 10 s for the reply to getMore on \(test.name)") }, "\(lost)")
    }
  }

  /// A read on a connection that becomes silent fails after ten seconds, with a message that names the operation.
  @Test func aReadThatGoesSilentFailsInTime() throws {
    try withDeployment { test in
      for number in 0..<2000 { try test.agents.insert(Documents.agent("a\(number)")) }
      let proxy = try FaultProxy(to: test.database.port, seed: 1)
      defer { proxy.stop() }
      let uri = "mongodb://127.0.0.1:\(proxy.port)/?directConnection=true"
      let namespace = try #require(MongoNamespace("\(test.name).agents"))
      let timeout = ReplyTimeout()
      let read = MongoReadAhead(
        pool: try MongoClientPool(uri: uri), namespace: namespace, filter: .empty, notBefore: .none, batchBytes: 1024,
        timeout: timeout, clusterTime: nil)
      defer { read.close() }
      var count = try #require(try read.next()).count
      #expect(count > 0)
      proxy.stallOpen()
      let began = MonotonicTime.now
      let error = #expect(throws: SourceError.self) {
        while let documents = try read.next() { count += documents.count }
      }
      #expect(count < 2000, "the proxy stalls before the end")
      #expect(MonotonicTime.now.duration(since: began) < .seconds(20))
      #expect(
        error?.message.contains("after waiting 10 s for the next documents of \(namespace)") == true,
        "\(error.debugDescription)")
      #expect(error?.kind == .transient && timeout.duration == .seconds(20), "a slow server gets longer the next time")
    }
  }

  @Test func theLimitOfAReplyFitsTheServer() {
    let timeout = ReplyTimeout()
    #expect(timeout.duration == .seconds(10))
    timeout.failed(after: .milliseconds(100))
    #expect(timeout.duration == .seconds(10), "a reset says nothing about how slow the server is")
    for wanted in [20, 40, 80, 120, 120] as [Int] {
      timeout.failed(after: timeout.duration)
      #expect(timeout.duration == .seconds(wanted))
    }
    timeout.replied(longestWait: .seconds(9))
    #expect(timeout.duration == .seconds(36))
    timeout.replied(longestWait: .milliseconds(10))
    #expect(timeout.duration == .seconds(10))
    timeout.replied(longestWait: .seconds(100))
    #expect(timeout.duration == .seconds(120))
  }
}
