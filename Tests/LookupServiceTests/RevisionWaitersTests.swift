// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// Calls that wait for a revision are resumed by it and by a change of their key, and their number is limited.
struct RevisionWaitersTests {
  /// A waiting call, as a transport holds it.
  private final class Call {
    var asked = 0
    var timer: (any RPCTimer)?
  }

  private func wait(_ harness: ServiceHarness, _ key: String, for revision: UInt64) throws -> Call {
    let options = lookupOptions(minimumRevision: revision)
    let reply = try harness.call("GetAgentConfig", getAgentConfig(key).with(2, options))
    let call = Call()
    call.timer = try #require(reply.wait).begin { call.asked += 1 }
    return call
  }

  @Test func onlyCallsThatMayGoOnAreAskedAgain() throws {
    try ServiceHarness.run(agents: [agent("a")]) { harness in
      let now = harness[.agentConfig].now.rawValue
      let onKey = try wait(harness, "b", for: now + 2)
      let others = try (0..<100).map { try wait(harness, "c\($0)", for: now + 50) }
      #expect(harness.service.watchFigures.waitingCalls == 101)
      // First a change of another key at an earlier revision, then one of the call's own key.
      try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.settle()
      #expect(onKey.asked == 0)
      try harness[.agentConfig].put(agent("b"))
      try harness.settle()
      #expect(onKey.asked == 1 && others.allSatisfy { $0.asked == 0 })
      for call in others[..<60] { call.timer?.cancel() }
      #expect(harness.service.watchFigures.waitingCalls == 40)
      for _ in 0..<50 { try harness[.agentConfig].put(agent("a", description: "\(harness[.agentConfig].now)")) }
      try harness.settle()
      #expect(others.map(\.asked) == Array(repeating: 0, count: 60) + Array(repeating: 1, count: 40))
      #expect(harness.service.watchFigures.waitingCalls == 0)
    }
  }

  @Test func theyAreAskedInSlices() throws {
    var options = LookupService.Options()
    options.unitsPerSlice = 256
    try ServiceHarness.run(agents: [agent("a")], options: options) { harness in
      let now = harness[.agentConfig].now.rawValue
      let calls = try (0..<500).map { _ in try wait(harness, "a", for: now + 1) }
      try harness[.agentConfig].put(agent("a", description: "new"))
      try harness.apply()
      var before = 0
      while harness.worker.runNext() {
        let asked = calls.reduce(0) { $0 + $1.asked }
        #expect(asked - before <= 40, "\(asked - before) calls in one iteration")
        before = asked
      }
      #expect(calls.allSatisfy { $0.asked == 1 })
    }
  }

  @Test func thereIsALimit() throws {
    var options = LookupService.Options()
    options.maximumWaitingCalls = 3
    try ServiceHarness.run(agents: [agent("a")], options: options) { harness in
      let later = harness[.agentConfig].now.rawValue + 100
      var calls = try (0..<3).map { _ in try wait(harness, "a", for: later) }
      let options = lookupOptions(minimumRevision: later)
      let refused = try harness.call("GetAgentConfig", getAgentConfig("a").with(2, options))
      #expect(refused.status.reason == .waitingCallsLimit)
      #expect(refused.status.message.hasPrefix("3 lookups are waiting on this server for their options.min_revision"))
      #expect(harness.service.report.count(.waitingCalls) == 1)
      calls.removeLast().timer?.cancel()
      calls.append(try wait(harness, "a", for: later))
      for call in calls { call.timer?.cancel() }
      #expect(harness.service.watchFigures.waitingCalls == 0)
    }
  }

  /// Compares the heap with a list, with a random seed: insertions, removals, and elements that are no longer wanted.
  @Test func theHeapIsInOrder() {
    final class Element: DueElement {
      let due: UInt64
      var isWanted = true
      init(_ due: UInt64) { self.due = due }
    }
    var random = SeededRandom.fresh("theHeapIsInOrder")
    var heap = DueHeap<Element>()
    var all: [Element] = []
    for _ in 0..<5000 {
      switch random.below(4) {
      case 0, 1:
        let element = Element(UInt64(random.below(1000)))
        all.append(element)
        heap.insert(element, due: element.due)
      case 2:
        guard !all.isEmpty else { continue }
        all.remove(at: random.below(all.count)).isWanted = false
        heap.noteUnwanted()
      default:
        let limit = UInt64(random.below(1000))
        let lowest = all.map(\.due).min()
        #expect(heap.firstDue() == lowest, "seed \(random.seed)")
        let taken = heap.popFirst(upTo: limit)
        #expect(taken?.due == (lowest.map { $0 <= limit } == true ? lowest : nil), "seed \(random.seed)")
        all.removeAll { $0 === taken }
      }
      #expect(heap.isEmpty == all.isEmpty)
    }
  }
}
