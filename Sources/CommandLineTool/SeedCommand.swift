// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigModels
internal import Foundation
internal import Glibc
internal import MongoSource
internal import ProtobufMessages

/// `seed FOLDER`: validates every document by the rules of the server and of the database, and then writes all of them
/// in one transaction.
///
/// A document replaces the one with the same `_id`. A document without `_id` replaces the one with the same `id` or
/// `source_id`. The command is idempotent.
func runSeed(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words, "FOLDER")
  let folder = URL(fileURLWithPath: words[0], isDirectory: true)
  var isFolder: ObjCBool = false
  guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder.boolValue else {
    throw ToolFailure(status: EX_NOINPUT, message: "\(words[0]): no such folder")
  }
  let files = [
    try SeedDocuments(folder, "agent_configs.json", options.agentConfigs, key: "id", as: AgentConfigDocument.self),
    try SeedDocuments(folder, "prompts.json", options.prompts, key: "id", as: PromptDocument.self),
    try SeedDocuments(
      folder, "source_configs.json", options.sourceConfigs, key: "source_id", as: SourceConfigDocument.self),
  ].compactMap(\.self)
  guard !files.isEmpty else {
    throw ToolFailure(
      status: EX_NOINPUT,
      message: "\(words[0]): contains none of agent_configs.json, prompts.json, source_configs.json")
  }
  let problems = files.flatMap(\.problems)
  for problem in problems { printError(problem) }
  if !problems.isEmpty {
    throw ToolFailure(
      status: ExitStatus.data, message: "nothing was written: fix the documents above, and run it again")
  }
  let pool: MongoClientPool
  do throws(MongoError) {
    pool = try MongoClientPool(uri: options.mongoDBURI)
  } catch {
    throw ToolFailure(status: ExitStatus.usage, message: "--mongodb-uri: \(error)")
  }
  do throws(MongoWriteFailure) {
    try pool.replaceAll(files.flatMap(\.replacements))
  } catch {
    throw toolFailure(error, files, pool.place)
  }
  for file in files {
    let count = file.replacements.count
    if try !options.printStructured([
      ("file", .text(file.file)), ("namespace", .text("\(file.namespace)")), ("documents", .number("\(count)")),
    ]) {
      try printLine("loaded \(count) documents into \(file.namespace)")
    }
  }
  return ExitStatus.success
}

/// Describes which document could not be written, and what the database contains now.
private func toolFailure(_ failure: MongoWriteFailure, _ files: [SeedDocuments], _ place: String) -> ToolFailure {
  let written: String
  if failure.isCommitUnknown {
    written = "the connection ended during the commit: either all documents were written or none; run it again"
  } else if failure.writtenCount == 0 {
    written = "nothing was written"
  } else {
    var rest = failure.writtenCount
    let parts = files.map { file in
      let count = min(rest, file.replacements.count)
      rest -= count
      return "\(count) of \(file.replacements.count) documents of \(file.file)"
    }
    written = "the database has no transactions, so these were written: " + parts.joined(separator: ", ")
  }
  // An error that the server returned concerns a document; any other error concerns the connection.
  guard failure.error.isFromServer, let index = failure.index, let name = name(of: index, files) else {
    return ToolFailure(
      status: ExitStatus.unavailable, message: "--mongodb-uri: \(place): \(failure.error); \(written)")
  }
  // Unauthorized
  let status = failure.error.code == 13 ? ExitStatus.notPermitted : ExitStatus.data
  return ToolFailure(status: status, message: "\(name): the database refuses it: \(failure.error); \(written)")
}

/// The file of the replacement with this index, and the index of its document in the file.
private func name(of index: Int, _ files: [SeedDocuments]) -> String? {
  var rest = index
  for file in files {
    if rest < file.replacements.count { return "\(file.file): document \(rest)" }
    rest -= file.replacements.count
  }
  return nil
}
