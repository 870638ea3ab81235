// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Many watches at once, one of which does not read.
@Suite struct ManySubscribersTests {
  private static let keyCount = 200

  /// A watch that reads gets the last state of every key; one that does not gets one RESYNC, and then live notices.
  @Test func eachIsToldAndWhoNeverReadsIsToldToResync() throws {
    try withDeployment { test in
      // Far fewer than the keys that change, by more than the sockets buffer.
      let server = try test.server { $0.maximumQueuedKeys = 100 }
      let client = try server.client()
      let watches = try (0..<50).map { _ in try Watch.open(server) }
      let stalled = try Watch.open(server, .init(includesValues: true))
      let contents = try change(test)

      var answers: [String: LookupReply] = [:]
      for watch in watches {
        var last: [String: WatchNotice] = [:]
        for notice in try watch.changes(before: "fence") {
          #expect(notice.kind == .upsert && notice.revision > last[notice.key]?.revision ?? 0, "never back")
          last[notice.key] = notice
        }
        #expect(last.count == Self.keyCount)
        for (key, notice) in last {
          let answer = try answers[key] ?? client.agent(key)
          answers[key] = answer
          #expect(answer.etag == notice.etag && answer.revision == notice.revision, "\(key)")
        }
      }
      for (key, content) in contents { #expect(answers[key]?.content == content, "\(key)") }

      var told: Set<String> = []
      var notice = try stalled.nextChange()
      while notice.kind == .upsert {
        told.insert(notice.key)
        notice = try stalled.nextChange()
      }
      #expect(notice.kind == .resync)
      #expect(!told.isEmpty && told.count < Self.keyCount)
      // Lookups after the RESYNC return the last writes, and the notices after it are newer.
      let present = try contents.keys.map { try client.agent($0) }
      for answer in present { #expect(answer.content == contents[answer.key], "\(answer.key)") }
      try test.agents.insert(Documents.agent("later"))
      for later in try stalled.changes(before: "later") {
        #expect(later.kind == .upsert && later.revision > notice.revision, "\(later) after \(notice)")
      }
    }
  }

  /// Creates every key, changes many of them, and then the fence. Returns the last content of each key.
  private func change(_ test: Deployment) throws -> [String: String] {
    let large = String(repeating: "x", count: 8000)
    var random = SeededRandom.fresh("eachIsTold")
    var contents: [String: String] = [:]
    for number in 0..<(Self.keyCount * 3 / 2) {
      let key = "k\(number < Self.keyCount ? number : random.below(Self.keyCount))"
      contents[key] = "\(number) \(large)"
      try test.agents.replace(
        Documents.selector("\(key):1.0.0"), with: Documents.agent(key, description: contents[key] ?? ""))
    }
    try test.agents.insert(Documents.agent("fence"))
    return contents
  }
}
