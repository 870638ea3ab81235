// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// No event-loop iteration does work that grows with the number of keys or watches.
struct WatchSliceTests {
  /// The maximum number of notices in an iteration if a slice has 256 units.
  private static let most = 100

  private func run(
    agents: Int, queuedKeys: Int = 10_000, unitsPerSlice: Int = 256, _ body: (ServiceHarness) throws -> Void
  ) throws {
    var options = LookupService.Options()
    options.unitsPerSlice = unitsPerSlice
    options.maximumQueuedKeys = queuedKeys
    try ServiceHarness.run(agents: (0..<agents).map { agent("k\($0)") }, options: options, body)
  }

  /// Runs the worker job by job, and returns the number of jobs.
  private func drain(_ harness: ServiceHarness, _ sent: () -> Int) -> Int {
    var jobs = 0
    var before = sent()
    while harness.worker.runNext() {
      jobs += 1
      #expect(sent() - before <= Self.most, "\(sent() - before) notices in one iteration")
      before = sent()
    }
    return jobs
  }

  @Test func aReloadUnderManyWatchesIsHandedOverInSlices() throws {
    try run(agents: 1) { harness in
      let writers = (0..<300).map { _ in TestStreamWriter() }
      let sessions = try writers.enumerated().map { number, writer in
        // Everything, a prefix, or a key.
        let request = [WireMessage(), WireMessage().with(3, "k1"), WireMessage().with(2, "k7")][number % 3]
        return try harness.watch(request, writer)
      }
      func sent() -> Int { writers.reduce(0) { $0 + $1.notices.count } }
      _ = drain(harness, sent)
      for number in 0..<40 { try harness[.agentConfig].put(agent("k\(number)", description: "new")) }
      try harness.apply()
      #expect(drain(harness, sent) > 20)
      let all = (0..<40).map { "upsert agent_config:k\($0)" }
      for (number, writer) in writers.enumerated() {
        let wanted = [all, all.filter { $0.hasPrefix("upsert agent_config:k1") }, [all[7]]][number % 3]
        #expect(writer.shorts == ["progress"] + wanted)
      }
      for session in sessions { session.cancelled() }
      _ = drain(harness, sent)
      #expect(harness.service.subscriberCount == 0)
    }
  }

  /// Watches that wait for their turn to send are handed more keys than a queue takes: none of them overflows again,
  /// because their peers take everything.
  @Test func aQueueOverflowsOnlyWhereThePeerIsSlow() throws {
    try run(agents: 1, queuedKeys: 2, unitsPerSlice: 2) { harness in
      let writers = (0..<300).map { _ in TestStreamWriter() }
      for writer in writers { writer.room = 1 }
      let sessions = try writers.map { try harness.watch(WireMessage(), $0) }
      harness.worker.run()
      for number in 0..<3 { try harness[.agentConfig].put(agent("k\(number)", description: "new")) }
      try harness.settle()
      // A PROGRESS waits behind the RESYNC: where the slice is over after the first, the second waits alone.
      harness.worker.advance(by: .seconds(10))
      harness.worker.run()
      for number in 0..<40 { try harness[.agentConfig].put(agent("k\(number)", description: "newer")) }
      try harness.apply()
      for writer in writers { writer.room = .max }
      harness.worker.runIteration { for session in sessions { session.writable() } }
      harness.worker.run()
      for writer in writers { #expect(writer.shorts.filter { $0 == "resync resync" }.count == 1) }
      for session in sessions { session.cancelled() }
    }
  }

  @Test func aPROGRESSNeverOvertakesWhatIsStillToBeHandedOver() throws {
    try run(agents: 1) { harness in
      let writers = (0..<100).map { _ in TestStreamWriter() }
      for writer in writers { _ = try harness.watch(WireMessage().with(1, 1).with(8, 1000), writer) }
      for number in 0..<30 { try harness[.agentConfig].put(agent("k\(number)", description: "new")) }
      try harness.apply()
      // The interval elapses several times before everything has been delivered to the first watch.
      for _ in 0..<5 {
        _ = harness.worker.runNext()
        harness.worker.advance(by: .milliseconds(1500))
      }
      harness.worker.run()
      harness.worker.advance(by: .milliseconds(1500))
      harness.worker.run()
      for writer in writers {
        var promised: UInt64 = 0
        for notice in writer.notices {
          if notice.kind == .progress {
            promised = max(promised, notice.revision)
          } else {
            #expect(notice.revision > promised, "\(notice) comes after a PROGRESS at \(promised)")
          }
        }
        #expect(writer.notices.count { $0.kind == .upsert } == 30)
        #expect(promised == harness[.agentConfig].now.rawValue)
      }
    }
  }

  @Test func anInitialStateThatNearlyNobodyWantsIsReadInSlices() throws {
    try run(agents: 2000) { harness in
      let writers = (0..<20).map { _ in TestStreamWriter() }
      for writer in writers { _ = try harness.watch(WireMessage().with(3, "k1999").with(6, 1), writer) }
      let jobs = drain(harness) { writers.reduce(0) { $0 + $1.notices.count } }
      #expect(jobs > 50, "20 watches look at 2,000 answers each")
      for writer in writers {
        #expect(writer.shorts == ["progress", "upsert agent_config:k1999", "progress initial_state"])
      }
    }
  }

  @Test func aReplayGoesOnWhereItWasAndSaysWhatIsForgotten() throws {
    try run(agents: 1) { harness in
      let start = harness[.agentConfig].now.rawValue + 1
      for number in 0..<200 { try harness[.agentConfig].put(agent("k\(number)", description: "new")) }
      try harness.settle()
      let (quick, slow) = (TestStreamWriter(), TestStreamWriter())
      slow.room = 10
      let request = WireMessage().with(1, 1).with(4, start)
      _ = try harness.watch(request, quick)
      let session = try harness.watch(request, slow)
      _ = drain(harness) { quick.notices.count + slow.notices.count }
      #expect(quick.shorts == ["progress"] + (0..<200).map { "upsert agent_config:k\($0)" } + ["progress"])
      // The history begins anew before everything has been sent to the slow subscriber.
      harness.hub.beginHistory(.agentConfig, after: harness[.agentConfig].now)
      slow.room = .max
      session.writable()
      _ = drain(harness) { quick.notices.count + slow.notices.count }
      #expect(slow.shorts.contains("resync resync"))
    }
  }
}

/// The revision of the first PROGRESS.
struct FirstProgressTests {
  private func first(_ request: WireMessage, _ harness: ServiceHarness) throws -> (UInt64, [String]) {
    let writer = TestStreamWriter()
    let session = try harness.watch(request.with(1, 1), writer)
    session.cancelled()
    return (try #require(writer.notices.first?.revision), writer.shorts)
  }

  @Test func namesTheStartOrWhatIsSafe() throws {
    try ServiceHarness.run(agents: [agent("a")]) { harness in
      let loaded = harness[.agentConfig].now.rawValue
      for number in 0..<5 { try harness[.agentConfig].put(agent("a", description: "\(number)")) }
      try harness.settle()
      let observed = harness[.agentConfig].now.rawValue
      #expect(try first(WireMessage(), harness) == (observed, ["progress"]))
      let replay = ["upsert agent_config:a", "upsert agent_config:a", "progress"]
      #expect(try first(WireMessage().with(4, observed - 1), harness) == (observed - 1, ["progress"] + replay))
      // A start before the replay history: a watch that resumes there gets a RESYNC again.
      #expect(
        try first(WireMessage().with(4, loaded - 1), harness) == (
          loaded - 1, ["progress", "resync resync", "progress"]
        ))
      // This server is behind: nothing from the start on has been sent.
      #expect(try first(WireMessage().with(4, observed + 5), harness) == (observed, ["progress", "progress"]))
      // A start of another database, or in the future: no server can replay from it.
      let foreign = WireMessage().with(4, observed - 1).with(5, "another")
      #expect(try first(foreign, harness) == (1, ["progress", "resync resync", "progress"]))
    }
  }

  /// A client that uses every PROGRESS as a resume position, and is disconnected after any notice, loses nothing.
  @Test func everyPROGRESSIsAPosition() throws {
    try ServiceHarness.run(agents: [agent("a"), agent("b")]) { harness in
      let start = harness[.agentConfig].now.rawValue + 1
      for number in 0..<6 {
        try harness[.agentConfig].put(agent(["a", "b", "c"][number % 3], description: "\(number)"))
      }
      try harness.settle()
      for cut in 1...9 {
        var position = start
        var told: [String: UInt64] = [:]
        // First a watch that is disconnected after `cut` notices, then one that is not.
        for room in [cut, .max] {
          let writer = TestStreamWriter()
          writer.room = room
          let session = try harness.watch(WireMessage().with(1, 1).with(4, position), writer)
          harness.worker.advance(by: .seconds(10))
          for notice in writer.notices {
            if notice.kind == .progress { position = notice.revision } else { told[notice.key] = notice.revision }
          }
          session.cancelled()
        }
        #expect(told == ["a": start + 3, "b": start + 4, "c": start + 5], "cut after \(cut)")
      }
    }
  }
}
