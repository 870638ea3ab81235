internal import BSON
internal import ChangeStreamCache
internal import ConfigModels
internal import Core
internal import Foundation
internal import Glibc
internal import MongoSource

/// `seed FOLDER`: checks every document by the rules that the server has, and loads them only if all are good.
///
/// A document replaces the one with its `_id`, or, where it has none, the one with its `id` or `source_id`: running it
/// again changes nothing.
func runSeed(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words, "FOLDER")
  let folder = URL(fileURLWithPath: words[0], isDirectory: true)
  let sets = [
    try SeedSet(folder, "agent_configs.json", options.agentConfigs, key: "id", as: AgentConfig.self),
    try SeedSet(folder, "prompts.json", options.prompts, key: "id", as: Prompt.self),
    try SeedSet(folder, "source_configs.json", options.sourceConfigs, key: "source_id", as: SourceConfig.self),
  ].compactMap(\.self)
  guard !sets.isEmpty else {
    throw ToolFailure(
      status: EX_NOINPUT,
      message: "\(words[0]): holds none of agent_configs.json, prompts.json, source_configs.json")
  }
  let problems = sets.flatMap(\.problems)
  for problem in problems { complain(problem) }
  if !problems.isEmpty {
    throw ToolFailure(status: ExitStatus.data, message: "nothing was loaded: mend the documents above first")
  }
  do {
    let pool = try MongoClientPool(uri: options.mongoDBURI)
    for set in sets {
      let writer = MongoWriter(pool: pool, namespace: set.namespace)
      for (selector, document) in set.documents { try writer.replace(selector, with: document) }
      try say("loaded \(set.documents.count) documents into \(set.namespace)")
    }
  } catch let error as MongoError {
    throw ToolFailure(status: ExitStatus.unavailable, message: "--mongodb-uri: \(error)")
  }
  return ExitStatus.success
}

/// The documents of one file, each with what finds it, and what is wrong with them.
private struct SeedSet {
  let namespace: MongoNamespace
  private(set) var documents: [(selector: BSONDocument, document: BSONDocument)] = []
  private(set) var problems: [String] = []

  /// Nil where there is no such file.
  init?<Model: CachedModel>(
    _ folder: URL, _ file: String, _ namespace: String, key: String, as model: Model.Type
  ) throws {
    let path = folder.appendingPathComponent(file)
    guard FileManager.default.fileExists(atPath: path.path) else { return nil }
    guard let namespace = MongoNamespace(namespace) else { throw UsageError("\(namespace): not DATABASE.COLLECTION") }
    self.namespace = namespace
    let text = try String(contentsOf: path, encoding: .utf8)
    let array: BSONDocument
    do {
      array = try BSONDocument(json: "{\"documents\": \(text)}")
    } catch {
      throw ToolFailure(status: ExitStatus.data, message: "\(file): not a JSON array of documents: \(error)")
    }
    array.withObject { array in
      guard let list = array.value("documents").flatMap({ BSONObject(elementsOf: $0) }) else { return }
      var index = 0
      list.forEach { _, value in
        add(value, "\(file): document \(index)", key, model)
        index += 1
        return true
      }
    }
  }

  private mutating func add<Model: CachedModel>(_ value: BSONValue, _ name: String, _ key: String, _ model: Model.Type)
  {
    guard value.type == .object, let document = BSONDocument(bytes: Array(value.bytes)) else {
      problems.append("\(name): is \(value.type.name), not an object")
      return
    }
    document.withObject { object in
      do throws(DocumentProblem) {
        _ = try Model(reading: object)
        if let id = document.id {
          documents.append((id.document, document))
        } else if let value = object.value(key) {
          documents.append((BSONDocument(oneField: key, value), document))
        }
      } catch {
        problems.append("\(name): \(error)")
      }
    }
  }
}
