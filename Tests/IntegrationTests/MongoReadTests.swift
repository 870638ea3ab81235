// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The reading of a whole collection in more replies than are read ahead.
struct MongoReadTests {
  private static let count = 1200

  @Test(arguments: [false, true])
  func everyDocumentComesOnceHoweverManyRepliesItTakes(besideLookups: Bool) throws {
    try withCollection { source, now in
      var ids: [String] = []
      let end = try source.readAll(matching: .empty, notBefore: now, besideLookups: besideLookups) { document in
        ids.append(document.id?.text ?? "")
        return true
      }
      #expect(ids.sorted() == (0..<Self.count).map(Self.id))
      #expect(end >= now)
    }
  }

  @Test(arguments: [1, 500])
  func whoHasEnoughGetsNoMore(wanted: Int) throws {
    try withCollection { source, now in
      var seen = 0
      _ = try source.readAll(matching: .empty, notBefore: now, besideLookups: false) { _ in
        seen += 1
        return seen < wanted
      }
      #expect(seen == wanted)
    }
  }

  @Test func aDatabaseThatIsNotThereIsAnError() throws {
    let pool = try MongoClientPool(uri: "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")
    let namespace = try #require(MongoNamespace("a.b"))
    let source = MongoDocumentSource(pool: pool, namespace: namespace)
    let error = #expect(throws: SourceError.self) {
      try source.readAll(matching: .empty, notBefore: .none, besideLookups: false) { _ in true }
    }
    #expect(error?.message.contains("127.0.0.1:1") == true)
  }

  private static func id(_ number: Int) -> String { "\(10_000 + number)" }

  /// Makes a collection of several times the size that is read ahead.
  private func withCollection(_ body: (MongoDocumentSource, Revision) throws -> Void) throws {
    try withDeployment { test in
      let padding = String(repeating: "x", count: 8000)
      for number in 0..<Self.count {
        try test.agents.insert(BSONDocument(json: #"{"_id": "\#(Self.id(number))", "padding": "\#(padding)"}"#))
      }
      let namespace = try #require(MongoNamespace("\(test.name).agents"))
      let source = MongoDocumentSource(pool: test.pool, namespace: namespace)
      let stream = try source.openStream(resumingAfter: nil, reportingFields: [])
      defer { stream.close() }
      try body(source, stream.progress.reportedTime)
    }
  }
}
