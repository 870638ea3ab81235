// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// A writer may close its connection, or become writable again, during a write: within `send`.
struct WatchReentryTests {
  private func run(_ body: (ServiceHarness) throws -> Void) throws {
    try ServiceHarness.run(agents: (0..<5).map { agent("k\($0)") }, body)
  }

  /// Changes `k0` to `k4`, in order, and delivers the notices together.
  private func changeAll(_ harness: ServiceHarness, _ description: String) throws {
    for number in 0..<5 { try harness[.agentConfig].put(agent("k\(number)", description: description)) }
    try harness.settle()
  }

  private let wanted = (0..<5).map { "upsert agent_config:k\($0)" }

  @Test func aWatchIsCancelledWhileItSends() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      let other = TestStreamWriter()
      let session = try harness.watch(WireMessage().with(6, 1), writer)
      let otherSession = try harness.watch(WireMessage(), other)
      _ = writer.takeShorts()
      _ = other.takeShorts()
      writer.onSend = { notice in if notice.key == "k1" { session.cancelled() } }
      try changeAll(harness, "one")
      #expect(writer.takeShorts() == Array(wanted[0...1]))
      #expect(other.takeShorts() == wanted, "the other one gets all")
      #expect(harness.service.subscriberCount == 1)
      #expect(harness.worker.timerCount == 1)

      // The session's own timer sends, and the session is cancelled within that send.
      other.onSend = { _ in otherSession.cancelled() }
      harness.worker.advance(by: .seconds(10))
      #expect(other.takeShorts() == ["progress"])
      #expect(harness.worker.timerCount == 0)
    }
  }

  @Test func aWatchIsCancelledByAnother() throws {
    try run { harness throws in
      let writers = [TestStreamWriter(), TestStreamWriter(), TestStreamWriter()]
      let sessions = try writers.map { try harness.watch(WireMessage(), $0) }
      for writer in writers {
        _ = writer.takeShorts()
        writer.onSend = { notice in
          if notice.key == "k2" {
            for (session, one) in zip(sessions, writers) where one !== writer { session.cancelled() }
          }
        }
      }
      try changeAll(harness, "one")
      #expect(harness.service.subscriberCount == 1)
      #expect(writers.filter { $0.shorts == wanted }.count == 1)
      #expect(writers.filter { wanted[0...1].starts(with: $0.shorts) }.count == 2, "nothing after the end")
    }
  }

  @Test func roomIsFoundWhileSending() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      writer.room = 1
      let session = try harness.watch(WireMessage().with(6, 1), writer)
      var depth = 0
      writer.onSend = { _ in
        depth += 1
        #expect(depth == 1, "sends within a send: as deep as the backlog is long")
        session.writable()
        depth -= 1
      }
      try changeAll(harness, "one")
      writer.room = .max
      session.writable()
      #expect(writer.takeShorts() == ["progress"] + wanted + ["progress initial_state"] + wanted)
      try changeAll(harness, "two")
      #expect(writer.takeShorts() == wanted)
      session.cancelled()
    }
  }

  @Test func aWatchIsCancelledInItsFirstMessage() throws {
    try run { harness throws in
      let first = TestStreamWriter()
      let second = TestStreamWriter()
      var inner: (any RPCStreamHandler)?
      // Another watch begins and ends within the first message of this one.
      first.onSend = { _ in
        if inner == nil { inner = try? harness.watch(WireMessage(), second) }
      }
      let session = try harness.watch(WireMessage(), first)
      #expect(harness.service.subscriberCount == 2)
      inner?.cancelled()
      session.cancelled()
      #expect(harness.service.subscriberCount == 0)
    }
  }

  /// The drain of one watch delivers the inbox during another delivery: the order of notices stays correct.
  @Test func drainingWithinAHandOver() throws {
    try run { harness throws in
      let writers = (0..<4).map { _ in TestStreamWriter() }
      let sessions = try writers.map { try harness.watch(WireMessage(), $0) }
      var hasBegun = false
      for writer in writers {
        _ = writer.takeShorts()
        writer.onSend = { notice in
          guard notice.key == "k1", !hasBegun else { return }
          hasBegun = true
          // More notices arrive, and one of the watches drains itself.
          do {
            for number in 0..<5 { try harness[.agentConfig].put(agent("k\(number)", description: "two")) }
            try harness.apply()
          } catch {
            Issue.record(error)
          }
          for (session, one) in zip(sessions, writers) where one === writer { session.draining() }
        }
      }
      try changeAll(harness, "one")
      try harness.settle()
      for writer in writers {
        var revisions: [String: UInt64] = [:]
        for notice in writer.notices where notice.kind == .upsert {
          #expect(notice.revision > revisions[notice.key] ?? 0, "\(notice.key) goes back")
          revisions[notice.key] = notice.revision
        }
        #expect(revisions.count == 5)
        #expect(revisions["k4"] == harness[.agentConfig].now.rawValue, "\(writer.shorts)")
        if writer.finish != nil { #expect(writer.shorts.last == "progress draining") }
      }
      #expect(writers.filter { $0.finish == .ok }.count == 1)
      #expect(harness.service.subscriberCount == 3)
      for session in sessions { session.cancelled() }
    }
  }

  @Test func theEndIsTheEnd() throws {
    try run { harness throws in
      let writer = TestStreamWriter()
      let session = try harness.watch(WireMessage(), writer)
      writer.onFinish = {
        session.cancelled()
        session.writable()
        session.draining()
      }
      session.draining()
      #expect(writer.shorts == ["progress", "progress draining"])
      #expect(harness.service.subscriberCount == 0)
    }
  }
}
