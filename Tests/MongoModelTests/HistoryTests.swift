// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Foundation
internal import Guarantees
internal import MongoModel
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Random histories of a replica set, which the real server follows. Every answer is checked against the writes, whose
/// times are exact: the one thread that writes also reads, so no answer can precede the record of its write.
@Suite(.serialized) struct HistoryTests {
  @Test func everyAnswerAgreesWithTheWrites() throws {
    let count = ProcessInfo.processInfo.environment["CONFIG_LOOKUP_HISTORIES"].flatMap { Int($0) } ?? 3
    let first = SeededRandom.fresh("histories of the model of MongoDB").seed
    for number in 0..<count {
      let seed = first &+ UInt64(number)
      let violations = try JudgedHistory(seed: seed).run()
      #expect(violations.isEmpty, "CONFIG_LOOKUP_HISTORIES=1 CONFIG_LOOKUP_SEED=\(seed)")
      if !violations.isEmpty { return }
    }
  }
}

/// One history. One thread uses it.
private final class JudgedHistory {
  private var random: SeededRandom
  private let bench: ScenarioBench
  private let personality: Personality
  private var validator = Validator()
  private var last = Revision.none
  private var isHeld = false
  private var number = 0
  /// The versions of each agent that exist.
  private var versions: [String: Set<Int>] = [:]
  private let keys = ["a", "b", "c"]

  init(seed: UInt64) throws {
    random = SeededRandom(seed: seed)
    let members = random.once(in: 2) ? 1 : 3
    personality = [Personality.mongoDB60, .mongoDB70, .mongoDB80][random.below(3)]
    bench = ScenarioBench(try MongoModel(personality, members: members, seed: seed))
  }

  /// Runs the history. Returns the violations of guarantees.
  func run() throws -> [Violation] {
    defer { bench.close() }
    try bench.model.run(
      BSONDocument {
        $0.append("create", "agents")
        if random.once(in: 2) { $0.append("changeStreamPreAndPostImages") { $0.append("enabled", true) } }
      }, database: "t")
    for _ in 0..<3 { try write() }
    validator.started("server", at: last)
    validator.mayBeWarm("server")
    try bench.start()
    validator.mustBeWarm("server")
    for _ in 0..<60 where validator.violations.isEmpty { try step() }
    bench.model.fail([])
    bench.model.setEventsPerBatch(nil)
    bench.model.commit()
    for key in keys where validator.violations.isEmpty { try look(key, minimum: last, patient: true) }
    return validator.violations
  }

  private func step() throws {
    switch random.below(14) {
    case 0...3: try write()
    case 4...7: try look(keys[random.below(keys.count)], minimum: .none)
    case 8: try look(keys[random.below(keys.count)], minimum: isHeld ? .none : last)
    case 9:
      if isHeld { bench.model.commit() } else { bench.model.holdCommits() }
      isHeld.toggle()
    case 10: bench.model.setEventsPerBatch(random.once(in: 2) ? 1 : nil)
    case 11:
      let refusal = CommandError(random.once(in: 2) ? 11600 : 91, "refusal", "refused")
      var point = FailPoint(["getMore", "aggregate"], error: random.once(in: 2) ? refusal : nil)
      if point.error == nil { point.closesConnection = true }
      point.times = 1 + random.below(4)
      bench.model.fail([point])
    case 12: if bench.model.memberPorts[0].count > 1, !isHeld { bench.model.elect(random.below(3)) }
    default: usleep(UInt32(random.below(40_000)))
    }
  }

  /// Changes one key, by one or two documents.
  private func write() throws {
    let key = keys[random.below(keys.count)]
    number += 1
    let text = "text \(number)"
    let known = versions[key, default: []]
    if known.isEmpty {
      let inserted = random.once(in: 2) ? [1, 2] : [1]
      let documents = try inserted.map {
        try Documents.agent(key, version: "\($0).0.0", description: "\(text) of version \($0)")
      }
      let time = try bench.model.insert(ScenarioBench.agents, documents)
      // Before 8.0 each document has its own time.
      let hasOneTime = personality.hasVectoredInserts
      for (index, version) in inserted.enumerated() {
        let own = hasOneTime ? time : Revision(time.rawValue - UInt64(inserted.count - 1 - index))
        set(key, version, "\(text) of version \(version)", at: own)
      }
      versions[key] = Set(inserted)
      last = time
      return
    }
    let version = known.sorted()[random.below(known.count)]
    let selector = try Documents.selector("\(key):\(version).0.0")
    if random.once(in: 4) {
      last = try bench.model.delete(ScenarioBench.agents, selector)
      versions[key]?.remove(version)
      validator.history.set("agent_config:\(key)", document: "\(version)", .nothing, at: last)
    } else {
      last = try bench.model.update(ScenarioBench.agents, selector, Documents.set("description", text))
      set(key, version, text, at: last)
    }
  }

  private func set(_ key: String, _ version: Int, _ text: String, at time: Revision) {
    validator.history.set("agent_config:\(key)", document: "\(version)", .label(text, rank: [version]), at: time)
  }

  private func look(_ key: String, minimum: Revision, patient: Bool = false) throws {
    var lookup = Guarantees.Lookup("agent_config:\(key)", of: "server")
    lookup.minimumRevision = minimum
    let end = soon(.seconds(patient ? 20 : 0))
    while true {
      let pending = validator.ask(lookup)
      let reply = try bench.client.agent(key, .init(minRevision: minimum.rawValue))
      if patient, reply.code == .unavailable, MonotonicTime.now < end { continue }
      validator.answered(pending, seen(reply))
      return
    }
  }

  private func seen(_ reply: ServiceTestSupport.LookupReply) -> Guarantees.LookupReply {
    switch reply.code {
    case .ok:
      var seen = Guarantees.LookupReply(
        .found(label: reply.content, etag: reply.etag, revision: Revision(reply.revision)))
      seen.observed = Revision(reply.observedRevision)
      seen.epoch = reply.epoch
      seen.ageMilliseconds = reply.ageMilliseconds
      seen.isStale = reply.isStale
      return seen
    case .notFound:
      var seen = Guarantees.LookupReply(.notFound)
      seen.observed = Revision(reply.replyMetadata["configlookup-observed-revision"].flatMap { UInt64($0) } ?? 0)
      seen.epoch = reply.replyMetadata["configlookup-epoch"] ?? ""
      return seen
    default: return Guarantees.LookupReply(.refused(isUnavailable: reply.code == .unavailable, "\(reply.status)"))
    }
  }
}
