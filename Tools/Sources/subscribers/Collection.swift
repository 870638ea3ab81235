// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import MongoSource
internal import TestSupport

/// The collection of agent configs that change: numbered keys, and one additional key, the fence, that changes last.
final class Collection {
  static let fence = "fence"
  private static let database = "subscribers"
  private static let block = 100

  let uri: String
  let name = "subscribers.agents"
  private let pool: MongoClientPool
  private let padding: String
  private var random = SeededRandom(seed: 1)
  /// The number of the last change of each key. Its document contains the number.
  private(set) var written: [Int]
  /// The number of changes so far.
  private(set) var changeCount = 0

  init(_ database: TestDatabase, valueBytes: Int) throws {
    uri = database.uri
    pool = try MongoClientPool(uri: uri)
    padding = String(repeating: "x", count: valueBytes)
    written = []
    try run("insert", "documents", [document(Self.fence, content: "0 fence")])
  }

  static func key(_ number: Int) -> String { "key-\(number)" }

  var keyCount: Int { written.count }

  /// Adds `count` keys.
  func create(_ count: Int) throws {
    for start in stride(from: 0, to: count, by: Self.block) {
      let documents = (start..<min(start + Self.block, count)).map { _ in
        written.append(0)
        return document(Self.key(keyCount - 1), content: nextContent(of: keyCount - 1))
      }
      try run("insert", "documents", documents)
    }
  }

  /// Makes `count` changes to random keys.
  func change(_ count: Int) throws {
    for start in stride(from: 0, to: count, by: Self.block) {
      let updates = (start..<min(start + Self.block, count)).map { _ in
        let key = random.below(keyCount)
        return update(Self.key(key), content: nextContent(of: key))
      }
      try run("update", "updates", updates)
    }
  }

  /// Changes the fence. Call it after all other changes.
  func changeFence() throws {
    changeCount += 1
    try run("update", "updates", [update(Self.fence, content: "\(changeCount) fence")])
  }

  private func nextContent(of key: Int) -> String {
    changeCount += 1
    written[key] = changeCount
    return "\(changeCount) \(padding)"
  }

  private func run(_ command: String, _ field: String, _ items: [String]) throws {
    let list = items.joined(separator: ",\n")
    let reply = try pool.command(
      BSONDocument(json: "{\"\(command)\": \"agents\", \"\(field)\": [\(list)]}"), database: Self.database)
    guard let json = reply.json, !json.contains("writeErrors") else {
      throw TestFailure("\(command): \(reply.json ?? "an answer that cannot be shown")")
    }
  }

  /// A replacement of a document. Its change event contains the document, so the database need not look it up for the
  /// stream.
  private func update(_ key: String, content: String) -> String {
    "{\"q\": {\"_id\": \"\(key)\"}, \"u\": \(document(key, content: content))}"
  }

  private func document(_ key: String, content: String) -> String {
    """
    {"_id": "\(key)", "id": "\(key):1.0.0", "agent_id": "\(key)", "version": "1.0.0", "type": "explorer",
     "status": "active", "description": "\(content)", "input": {"event": "in", "schema": {}},
     "output": {"event": "out", "schema": {}}, "llm": {"model": "m"}, "error_handling": {}, "rag": {},
     "extraction_schema": {}, "metadata": {"author": "t", "created_at": "2026-01-01T00:00:00Z",
     "updated_at": "2026-01-02T00:00:00Z"}}
    """
  }
}
