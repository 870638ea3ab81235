// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// The buffered bytes of watches are counted, and watches release them when the server's total limit is exceeded.
struct BufferTests {
  /// Runs `body` with a limit that permits `watches` watches and 2,000 bytes more.
  private func run(watches: Int, _ body: (ServiceHarness, BufferAccount) throws -> Void) throws {
    try ServiceHarness.run(agents: (0..<100).map { agent("k\($0)") }) { harness in
      let account = BufferAccount(BufferBudget(limit: watches * WatchSession.ownBytes + 2000))
      harness.worker.buffers = account
      try body(harness, account)
    }
  }

  /// The size of the filter of a watch of everything.
  private let filterBytes = 160

  @Test func aSlowWatchGetsAResyncInsteadOfWhatWaits() throws {
    try run(watches: 2) { harness, account throws in
      let (slow, quick) = (TestStreamWriter(), TestStreamWriter())
      let session = try harness.watch(WireMessage(), slow)
      _ = try harness.watch(WireMessage(), quick)
      slow.room = 0
      for number in 0..<100 { try harness[.agentConfig].put(agent("k\(number)", description: "new")) }
      try harness.settle()
      #expect(account.budget.isExceeded)
      account.shed()
      // Both watches share one filter, which is charged to one of them.
      #expect(account.budget.byteCount == 2 * WatchSession.ownBytes + filterBytes)
      slow.room = .max
      session.writable()
      #expect(slow.shorts == ["progress", "resync resync"])
      #expect(quick.shorts.count == 101, "the other one has been told all")
      try harness[.agentConfig].put(agent("k1", description: "newer"))
      try harness.settle()
      #expect(slow.shorts.last == "upsert agent_config:k1")
    }
  }

  @Test func anInitialStateThatNobodyTakesIsLetGo() throws {
    try run(watches: 3) { harness, account throws in
      let writers = (0..<3).map { _ in TestStreamWriter() }
      // The field `send_initial_state`.
      let sessions = try writers.map { writer in
        writer.room = 1
        return try harness.watch(WireMessage().with(6, 1), writer)
      }
      #expect(account.budget.isExceeded)
      account.shed()
      #expect(!account.budget.isExceeded)
      for (writer, session) in zip(writers, sessions) {
        writer.room = .max
        session.writable()
        #expect(writer.shorts.last == "progress initial_state")
      }
      #expect(writers.count { $0.shorts.count == 3 } >= 1, "a RESYNC for those that have lost it")
      #expect(account.budget.byteCount == 3 * WatchSession.ownBytes + filterBytes)
    }
  }

  @Test func aWatchThatNamesManyKeysEnds() throws {
    try run(watches: 1) { harness, account throws in
      let writer = TestStreamWriter()
      var request = WireMessage()
      // The field `keys`.
      for number in 0..<100 { request = request.with(2, "key \(number)") }
      _ = try harness.watch(request, writer)
      #expect(account.budget.isExceeded)
      account.shed()
      #expect(writer.finish?.reason == .bufferedBytesLimit)
      #expect(account.budget.byteCount == 0 && harness.service.subscriberCount == 0)
    }
  }
}
