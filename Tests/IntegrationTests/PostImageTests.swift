// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// A collection with post-images: updates carry the document as of themselves.
@Suite struct PostImageTests {
  /// The changes of the agents in a stream as text, until the document `end` is inserted.
  private func changes(_ stream: any DocumentStream, until end: String) throws -> [String] {
    var changes: [String] = []
    try poll("\(end) comes") {
      while let change = try stream.next(waitingAtMost: .seconds(1)) {
        let id = change.id?.text ?? ""
        if id == end { return true }
        switch change.operation {
        case .update(let document): changes.append("image of \(id): \(number(document))")
        case .updateLookedUp(let document): changes.append("lookup of \(id): \(document.map(number) ?? "gone")")
        default: changes.append("\(change.operation.name) \(id)")
        }
      }
      return false
    }
    return changes
  }

  private func number(_ document: BSONDocument) -> String {
    document.withObject { $0.value("n")?.int32.map { "\($0)" } ?? "none" }
  }

  private func open(_ test: Deployment, _ token: ResumeToken? = nil) throws -> any DocumentStream {
    let namespace = try #require(MongoNamespace("\(test.name).agents"))
    let source = MongoDocumentSource(pool: test.pool, namespace: namespace, maximumAwaitTime: .milliseconds(50))
    return try source.openStream(resumingAfter: token, reportingFields: ["n"])
  }

  private func set(_ test: Deployment, _ id: String, _ number: Int) throws {
    try test.agents.update(Documents.selector(id), BSONDocument(json: #"{"$set": {"n": \#(number)}}"#))
  }

  private func insert(_ test: Deployment, _ ids: String...) throws {
    for id in ids { try test.agents.insert(BSONDocument(json: #"{"_id": "\#(id)"}"#)) }
  }

  @Test func updatesBringTheirImage() throws {
    try withDeployment { test in
      try insert(test, "a")
      try test.keepImages(true)
      let stream = try open(test)
      defer { stream.close() }
      try set(test, "a", 1)
      try insert(test, "end")
      #expect(try changes(stream, until: "end") == ["image of a: 1"])
    }
  }

  /// No change is lost or repeated where the post-images end, in the middle of a batch, too.
  @Test func whereImagesEndDocumentsAreLookedUp() throws {
    try withDeployment { test in
      try insert(test, "a")
      try test.keepImages(true)
      let stream = try open(test)
      defer { stream.close() }
      try set(test, "a", 1)
      try insert(test, "first end")
      #expect(try changes(stream, until: "first end") == ["image of a: 1"])

      try test.keepImages(false)
      try insert(test, "b")
      try set(test, "a", 2)
      try insert(test, "c")
      try set(test, "b", 3)
      try test.agents.delete(Documents.selector("c"))
      try insert(test, "second end")
      #expect(
        try changes(stream, until: "second end") == [
          "insert b", "lookup of a: 2", "insert c", "lookup of b: 3", "delete c",
        ])
      #expect(stream.progress.reportedTime > .none)

      // The next stream detects post-images by itself, from the position of this one.
      try test.keepImages(true)
      let next = try open(test, stream.resumeToken)
      defer { next.close() }
      try set(test, "a", 4)
      try insert(test, "third end")
      #expect(try changes(next, until: "third end") == ["image of a: 4"])
    }
  }

  /// A stream begins at a time, not after it, so its first batch may contain the update before: there is no token yet.
  @Test func aStreamThatBeginsWithAnUpdateWithoutImage() throws {
    try withDeployment { test in
      try insert(test, "a", "b")
      try set(test, "a", 1)
      let stream = try open(test)
      defer { stream.close() }
      try set(test, "b", 2)
      try insert(test, "end")
      let changes = try changes(stream, until: "end")
      #expect(changes == ["lookup of a: 1", "lookup of b: 2"] || changes == ["lookup of b: 2"])
    }
  }

  /// A server before MongoDB 6.0 rejects the option.
  @Test(arguments: [2, 40575]) func aServerThatKnowsNoImages(code: Int) throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        try insert(test, "a")
        try test.keepImages(true)
        try test.command(
          """
          {"configureFailPoint": "failCommand", "mode": {"times": 1},
           "data": {"failCommands": ["aggregate"], "errorCode": \(code)}}
          """)
        let stream = try open(test)
        defer { stream.close() }
        try set(test, "a", 1)
        try insert(test, "end")
        #expect(try changes(stream, until: "end") == ["lookup of a: 1"])
      }
    }
  }

  /// The same with a whole server: post-images are enabled and disabled during the writes of two writers to the same
  /// documents.
  @Test func nothingIsLostWhileImagesComeAndGo() throws {
    try withDeployment { test in
      let names = ["a", "b", "c"]
      for name in names { try test.agents.insert(Documents.agent(name, description: "0")) }
      try test.keepImages(true)
      let server = try test.server()
      let client = try server.client()
      let watch = try Watch.open(server, .init(entities: [1], includesValues: true))
      let agents = test.agents
      var writers: [Background] = []
      for number in 0..<2 {
        writers.append(
          Background("writer \(number)") {
            for step in 1...60 {
              let id = try Documents.selector("\(names[step % names.count]):1.0.0")
              try agents.update(id, Documents.set("description", "\(number): \(step)"))
            }
          })
      }
      for step in 0..<6 { try test.keepImages(step % 2 == 1) }
      for writer in writers { try writer.finish() }
      try test.agents.insert(Documents.agent("fence"))

      var contents: [String: String] = [:]
      var revisions: [String: UInt64] = [:]
      for notice in try watch.changes(before: "fence") {
        #expect(notice.kind == .upsert && notice.revision >= revisions[notice.key] ?? 0)
        (contents[notice.key], revisions[notice.key]) = (notice.content, notice.revision)
      }
      for name in names {
        let answer = try client.agent(name)
        #expect(answer.content == contents[name] && answer.revision == revisions[name], "\(name)")
      }
      #expect(Set(contents.values).isSubset(of: ["0: 58", "0: 59", "0: 60", "1: 58", "1: 59", "1: 60"]))
      #expect(try client.status().agents.drift == 0)
    }
  }
}

extension Deployment {
  /// Enables or disables post-images for the collection of agents.
  fileprivate func keepImages(_ keepsImages: Bool) throws {
    let command = #"{"collMod": "agents", "changeStreamPreAndPostImages": {"enabled": \#(keepsImages)}}"#
    _ = try pool.command(BSONDocument(json: command), database: name)
  }
}
