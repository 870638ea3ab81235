// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import TestSupport

/// A temporary folder, which is deleted together with this object.
final class ProcessFolder {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("config-lookup-test-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(at: url) }
}

/// A database in a folder that outlives it, so that users can be created before authentication is required.
final class AuthDatabase {
  let port: UInt16
  private let child: ChildProcess

  init(_ folder: ProcessFolder, isLocked: Bool) throws {
    port = try freePort()
    let arguments = ["--port", "\(port)", "--storage-path", folder.url.appendingPathComponent("data").path]
    child = try ChildProcess(
      PythonEnvironment.command("secantusd-py"), arguments + TestDatabase.usualFlags + (isLocked ? ["--auth"] : []),
      environment: ["HOME": folder.url.path], folder: folder.url)
    try run("client.admin.command('hello')")
  }

  /// Runs Python code with `client`, which is not authenticated: if authentication is required, it may do no more than
  /// the handshake.
  func run(_ code: String) throws {
    let before = """
      import sys, pymongo
      client = pymongo.MongoClient(port=int(sys.argv[1]), serverSelectionTimeoutMS=20000)

      """
    try ChildProcess.run(PythonEnvironment.command("python"), ["-c", before + code, "\(port)"])
  }

  func stop() throws { try child.stop() }
}
