// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

/// Random histories with faults, against an independent idea of what the answers are.
/// Compares random histories with faults with an independent model of the answers.
struct RandomHistoryTests {
  /// The expected answers: for each key the document of the highest rank, then of the greater id.
  private struct Model {
    struct Document {
      var code: String
      var version: Int
      var rank: Int
      var active: Bool
      var good: Bool
    }

    var documents: [String: Document] = [:]

    var json: [String: String] {
      documents.mapValues { document in "\(document.code)" }
    }

    func answer(_ code: String) -> (id: String, document: Document)? {
      documents.filter { $0.value.code == code && $0.value.active }
        .max { ($0.value.rank, $0.key) < ($1.value.rank, $1.key) }
        .map { ($0.key, $0.value) }
    }
  }

  private static func json(_ id: String, _ document: Model.Document) -> String {
    country(id, document.code, "v\(document.version)", rank: document.rank, active: document.active)
  }

  @Test(arguments: 0..<20) func cacheAndSubscriberEqualTheCollection(run: Int) throws {
    var random = SeededRandom.fresh("cacheAndSubscriberEqualTheCollection \(run)")
    try CacheHarness.run { harness in
      var model = Model()
      var version = 0
      let codes = (0..<6).map { "K\($0)" }
      for _ in 0..<150 {
        let id = "d\(random.below(8))"
        version += 1
        switch random.below(20) {
        case 0: harness.source.disconnect()
        case 1: harness.source.disconnect(forgettingHistory: true)
        case 2: harness.cache.reload()
        case 3: harness.clock.advance(by: .seconds(301))
        case 4:
          harness.source.drop()
          model.documents = [:]
        case 5: harness.source.sendUnknownOperation()
        case 6...8:
          harness.source.delete(id)
          model.documents[id] = nil
        default:
          let document = Model.Document(
            code: codes[random.below(codes.count)], version: version, rank: random.below(3),
            active: !random.once(in: 4), good: true)
          if random.once(in: 2) {
            try harness.source.put(Self.json(id, document))
          } else {
            try harness.source.update(Self.json(id, document), keepsImage: random.once(in: 3))
          }
          model.documents[id] = document
        }
        if random.once(in: 10) { try harness.settle() }
      }
      try harness.settle()
      try poll("the cache follows the stream") { harness.cache.health.isStreamActive }
      try harness.settle()

      var folded: [String: String] = [:]
      var revisions: [String: Revision] = [:]
      for notice in harness.invalidations {
        let key = notice.key.text
        #expect(notice.revision >= revisions[key] ?? .none, "the revisions of \(key) go back")
        revisions[key] = notice.revision
        folded[key] = notice.answer?.entry.etagText
      }
      for code in codes {
        let wanted = model.answer(code)
        #expect(harness.name(code) == wanted.map { "v\($0.document.version)" }, "\(code)")
        #expect(harness.cache.reader.answer(LookupKey(code))?.entry.etagText == folded[code], "\(code)")
      }
      #expect(harness.cache.health.size == codes.count { model.answer($0) != nil })
      #expect(harness.cache.health.drift == 0)
    }
  }

  /// Each key has one document with an increasing version. A lookup must never return a lower version than before.
  @Test(arguments: 0..<10) func neverBack(run: Int) throws {
    var random = SeededRandom.fresh("neverBack \(run)")
    try CacheHarness.run { harness in
      let isDone = Locked(false)
      let problems = Locked<[String]>([])
      let asker = OSThread(name: "asker") {
        var seen: [Int] = Array(repeating: 0, count: 4)
        while !isDone.withLock({ $0 }) {
          for key in 0..<4 {
            guard let name = harness.name("K\(key)"), let version = Int(name.dropFirst()) else { continue }
            if version < seen[key] {
              problems.withLock { $0.append("K\(key) went back from \(seen[key]) to \(version)") }
            }
            seen[key] = version
          }
        }
      }
      for version in 1...300 {
        let key = random.below(4)
        switch random.below(16) {
        case 0: harness.source.disconnect()
        case 1: harness.source.disconnect(forgettingHistory: true)
        case 2: harness.clock.advance(by: .seconds(301))
        case 3, 4: harness.source.delete("\(key)")
        // A burst: updates are looked up late, so their documents are ahead of the changes behind them.
        case 5...10:
          try harness.source.update(country("\(key)", "K\(key)", "v\(version)"), keepsImage: version % 3 == 0)
        default: try harness.source.put(country("\(key)", "K\(key)", "v\(version)"))
        }
        if random.once(in: 6) { try harness.settle() }
      }
      try harness.settle()
      isDone.withLock { $0 = true }
      asker.join()
      #expect(problems.withLock { $0 } == [])
      // A subscriber that applies the notices must never see a lower version either.
      var versions: [String: String] = [:]
      for notice in harness.invalidations {
        guard let entry = notice.answer?.entry as? ModelEntry<Country> else { continue }
        let last = versions[notice.key.text].flatMap { Int($0.dropFirst()) } ?? 0
        #expect(Int(entry.cachedValue.name.dropFirst()) ?? 0 >= last)
        versions[notice.key.text] = entry.cachedValue.name
      }
    }
  }
}
