// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// Watches that start in the past, in difficult situations.
struct ReplayTests {
  @Test func whoMayHoldWhatAnotherServerToldIsToldToResyncOnce() throws {
    try ServiceHarness.run(agents: [agent("a")]) { harness in
      let position = harness[.agentConfig].now.rawValue
      let (native, guest) = (TestStreamWriter(), TestStreamWriter())
      _ = try harness.watch(WireMessage().with(1, UInt64(1)), native)
      _ = try harness.watch(WireMessage().with(1, UInt64(1)).with(4, position + 1), guest)
      for _ in 0..<2 { harness.hub.beginHistory(.agentConfig, after: harness[.agentConfig].now) }
      harness.worker.run()
      #expect(native.notices.count { $0.kind == .resync } == 0)
      #expect(guest.notices.count { $0.kind == .resync } == 1, "after it, all that is held is from here")
    }
  }

  @Test func onlyTheLatestNoticeOfAKeyHoldsItsValue() throws {
    try ServiceHarness.run(agents: [agent("a")]) { harness in
      let start = harness[.agentConfig].now.rawValue + 1
      for number in 1...3 { try harness[.agentConfig].put(agent("a", description: "number \(number)")) }
      try harness[.agentConfig].put(agent("b"))
      harness[.agentConfig].delete("b:1.0.0")
      try harness.settle()
      func replayed(withValues: Bool) throws -> [SeenNotice] {
        let writer = TestStreamWriter()
        _ = try harness.watch(
          WireMessage().with(1, UInt64(1)).with(4, start).with(7, UInt64(withValues ? 1 : 0)), writer)
        return writer.notices.filter { $0.kind != .progress }
      }
      #expect(try replayed(withValues: false).map(\.key) == ["a", "a", "a", "b", "b"], "every step")
      let notices = try replayed(withValues: true)
      #expect(notices.map(\.short) == ["upsert agent_config:a", "delete agent_config:b"], "the latest of each key")
      let value = try #require(notices.first?.value)
      #expect(String(decoding: value.bytes, as: UTF8.self).contains("number 3"))
    }
  }

  @Test func aWatchOfADatabaseThatIsAnotherNowIsToldToResync() throws {
    try ServiceHarness.run(agents: [agent("a")]) { harness in
      let writer = TestStreamWriter()
      _ = try harness.watch(WireMessage().with(1, UInt64(1)), writer)
      let before = try #require(writer.notices.first?.epoch)
      harness[.agentConfig].setIdentity("another")
      try harness[.agentConfig].putSilently(agent("a", description: "another"))
      harness[.agentConfig].disconnect(forgettingHistory: true)
      try poll("the epoch changes") { harness.service.epoch.current != before }
      try harness[.agentConfig].put(agent("b"))
      try harness.settle()
      #expect(writer.shorts == ["progress", "resync resync", "upsert agent_config:a", "upsert agent_config:b"])
      #expect(writer.notices.dropFirst().allSatisfy { $0.epoch == harness.service.epoch.current })
    }
  }

  @Test func aWatchThatStartsDuringAResyncLosesNothing() throws {
    try ServiceHarness.run(agents: [agent("a"), agent("b")]) { harness in
      let source = harness[.agentConfig]
      let gate = Locked(false)
      source.setOnRow { _ in _ = gate.wait(until: .now.advanced(by: .seconds(20))) { $0 ? true : nil } }
      source.setConnected(false)
      try source.put(agent("a", description: "missed"))
      source.disconnect(forgettingHistory: true)
      source.setConnected(true)
      try poll("the read has begun") { source.reads == 2 }
      // A client writes, and watches from its own write on.
      let written = try source.put(agent("b", description: "new"))
      let writer = TestStreamWriter()
      let session = try harness.watch(
        WireMessage().with(1, UInt64(1)).with(4, written.rawValue), writer)
      gate.withLock { $0 = true }
      gate.signal()
      source.setOnRow(nil)
      try harness.settle()
      #expect(writer.shorts.contains("upsert agent_config:b") || writer.shorts.contains { $0.hasPrefix("resync") })
      session.cancelled()
    }
  }

  /// The subscriber may hold answers that this server has never served, and whose deletion it can therefore not
  /// announce.
  @Test func aWatchThatCameFromAnotherServerIsToldOfAGap() throws {
    try ServiceHarness.run(agents: [agent("a")]) { harness in
      let source = harness[.agentConfig]
      source.setConnected(false)
      // The other server has announced this change.
      let seen = try source.put(agent("b"))
      let writer = TestStreamWriter()
      let session = try harness.watch(WireMessage().with(1, UInt64(1)).with(4, seen.rawValue), writer)
      #expect(writer.takeShorts() == ["progress", "progress"])
      source.delete("b:1.0.0")
      source.disconnect(forgettingHistory: true)
      source.setConnected(true)
      try harness.settle()
      #expect(writer.takeShorts() == ["resync resync"])
      session.cancelled()
    }
  }

  @Test func theInitialStateOfAServerThatIsBehindIsFollowedByAllThatComes() throws {
    try ServiceHarness.run(agents: [agent("a")]) { harness in
      let source = harness[.agentConfig]
      source.setConnected(false)
      try source.put(agent("a", description: "second"))
      let seen = try source.put(agent("b"))
      let writer = TestStreamWriter()
      let session = try harness.watch(WireMessage().with(1, UInt64(1)).with(4, seen.rawValue).with(6, 1), writer)
      #expect(writer.takeShorts() == ["progress", "upsert agent_config:a", "progress initial_state"])
      source.setConnected(true)
      try harness.settle()
      #expect(writer.takeShorts() == ["upsert agent_config:a", "upsert agent_config:b"])
      session.cancelled()
    }
  }
}
