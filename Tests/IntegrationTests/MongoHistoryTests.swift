// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The past changes of a collection, as the database's oplog contains them.
struct MongoHistoryTests {
  @Test func tellsWhatEachChangeTouched() throws {
    try withDeployment { test in
      let namespace = try #require(MongoNamespace("\(test.name).agents"))
      let source = MongoDocumentSource(pool: test.pool, namespace: namespace)
      func now() throws -> Revision {
        let stream = try source.openStream(resumingAfter: nil, reportingFields: [])
        defer { stream.close() }
        return stream.progress.reportedTime
      }
      let one = try Documents.selector("1")
      try test.agents.insert(BSONDocument(json: #"{"_id": "1", "a": {"b": 1, "c": [1, 2, 3]}, "d": 2}"#))
      let start = try now()
      try test.agents.update(one, BSONDocument(json: #"{"$set": {"a.b": 2, "e.f.g": 1}, "$unset": {"d": ""}}"#))
      try test.agents.replace(one, with: BSONDocument(json: #"{"_id": "1", "a": 3}"#))
      try test.agents.delete(one)
      // The server ends a change stream when the collection is dropped; there are more changes after that.
      try test.agents.insert(BSONDocument(json: #"{"_id": "2"}"#))
      try test.agents.drop()
      try test.agents.insert(BSONDocument(json: #"{"_id": "3"}"#))
      let end = try now()
      try test.agents.insert(BSONDocument(json: #"{"_id": "4"}"#))

      var told: [String] = []
      var last = start
      try source.readHistory(from: Revision(start.rawValue + 1), through: end) { change in
        #expect(change.revision >= last && change.revision <= end)
        last = change.revision
        switch change.operation {
        case .insert: told.append("insert \(change.id?.text ?? "")")
        case .replace(let document): told.append("replace \(document.json ?? "")")
        case .update(let fields): told.append("update \(fields.sorted())")
        case .delete: told.append("delete \(change.id?.text ?? "")")
        case .other(let name): told.append(name)
        }
        return true
      }
      #expect(
        told == [
          #"update ["a", "d", "e"]"#, #"replace { "_id" : "1", "a" : 3 }"#, "delete 1", "insert 2", "drop",
          "invalidate", "insert 3",
        ])
      var isFirst = true
      try source.readHistory(from: start, through: end) { _ in
        #expect(isFirst, "told to stop")
        isFirst = false
        return false
      }
    }
  }
}
