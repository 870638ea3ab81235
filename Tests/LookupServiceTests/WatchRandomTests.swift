// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import LookupService

/// Random writes, slow readers and timers: in the end, a subscriber holds the same answers as the caches.
struct WatchRandomTests {
  /// A subscriber that stores the announced answers, and looks all of them up again after a RESYNC.
  private final class Subscriber {
    let writer = TestStreamWriter()
    private let harness: ServiceHarness
    private(set) var etags: [String: String] = [:]
    private var announced: [String: UInt64] = [:]
    private var lookedUp: [String: UInt64] = [:]
    private(set) var progress: UInt64 = 0
    private(set) var resyncs = 0
    var session: (any RPCStreamHandler)?

    init(_ harness: ServiceHarness, seed: UInt64) throws {
      self.harness = harness
      writer.onSend = { [unowned self] notice in take(notice, seed) }
      session = try harness.watch(WireMessage().with(6, 1).with(8, 1000), writer)
    }

    private func take(_ notice: SeenNotice, _ seed: UInt64) {
      switch notice.kind {
      case .upsert, .delete:
        let last = announced[notice.cacheKey] ?? 0
        #expect(notice.revision >= last, "\(notice.cacheKey) goes back; seed \(seed)")
        announced[notice.cacheKey] = notice.revision
        // An answer that was looked up may be newer than a notice that is on its way.
        guard notice.revision >= lookedUp[notice.cacheKey] ?? 0 else { return }
        etags[notice.cacheKey] = notice.kind == .upsert ? notice.etag : nil
      case .resync:
        resyncs += 1
        (etags, lookedUp) = harness.held()
      case .progress:
        #expect(notice.revision >= progress, "PROGRESS goes back; seed \(seed)")
        progress = notice.revision
      }
    }
  }

  @Test(arguments: 0..<12) func theSubscriberEndsWithWhatTheCachesHold(run: Int) throws {
    var random = SeededRandom.fresh("theSubscriberEndsWithWhatTheCachesHold \(run)")
    var options = LookupService.Options()
    options.maximumQueuedKeys = run % 3 == 0 ? 4 : 1000
    try ServiceHarness.run(
      agents: (0..<6).map { agent("k\($0)") }, prompts: (0..<3).map { prompt("k\($0)", agent: "k\($0)") },
      options: options
    ) { harness throws in
      var subscribers: [Subscriber] = []
      for step in 0..<300 {
        let key = "k\(random.below(10))"
        switch random.below(16) {
        case 0...3: try harness[.agentConfig].put(agent(key, description: "\(random.below(4))"))
        case 4: try harness[.agentConfig].update(agent(key, description: "\(random.below(4))"))
        case 5: harness[.agentConfig].delete("\(key):1.0.0")
        case 6:
          let status = random.once(in: 2) ? "staged" : "active"
          try harness[.prompt].put(prompt(key, agent: key, status: status, template: "\(step)"))
        case 7: harness[.prompt].delete("\(key):1.0.0")
        case 8: harness.worker.run()
        case 9: harness.worker.advance(by: .seconds(random.below(3)))
        case 10: try harness.settle()
        case 11 where subscribers.count < 4: subscribers.append(try Subscriber(harness, seed: random.seed))
        case 12 where random.once(in: 10): harness[.agentConfig].disconnect(forgettingHistory: random.once(in: 2))
        default:
          guard !subscribers.isEmpty else { continue }
          let subscriber = subscribers[random.below(subscribers.count)]
          subscriber.writer.room = random.once(in: 4) ? .max : random.below(6)
          if subscriber.writer.isWritable { subscriber.session?.writable() }
        }
      }
      try poll("every stream is up again") {
        harness.service.caches.allSatisfy { $0.health().isStreamActive }
      }
      try harness.settle()
      let held = harness.held()
      for subscriber in subscribers {
        subscriber.writer.room = .max
        subscriber.session?.writable()
        harness.worker.advance(by: .seconds(1))
        #expect(subscriber.etags == held.etags, "seed \(random.seed)")
        #expect(subscriber.progress >= ServedEntity.allCases.map { harness[$0].now.rawValue }.min() ?? 0)
        subscriber.session?.cancelled()
      }
      #expect(harness.service.subscriberCount == 0)
    }
  }
}

extension ServiceHarness {
  /// The current answer of every cache key.
  func held() -> (etags: [String: String], revisions: [String: UInt64]) {
    var etags: [String: String] = [:]
    var revisions: [String: UInt64] = [:]
    for entity in ServedEntity.allCases {
      for answer in reader(entity).all.answers {
        let selector = entity.selector(ofSpace: answer.key.space)
        let key = cacheKey(
          entity: entity.name, selector: selector == entity.selector(ofSpace: 0) ? nil : selector,
          identifier: answer.key.text, variant: entity.variant(ofSpace: answer.key.space))
        etags[key] = answer.entry.etagText
        revisions[key] = answer.revision.rawValue
      }
    }
    return (etags, revisions)
  }
}
