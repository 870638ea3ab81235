internal import Foundation
internal import TestSupport

/// A folder of its own, deleted with it.
final class ProcessFolder {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("config-lookup-test-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(at: url) }
}

/// A database in a folder that outlives it: so that users can be made before it asks for passwords.
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

  /// Runs Python with `client`, without a user: where passwords are asked for, it may do no more than say hello.
  func run(_ code: String) throws {
    let before = """
      import sys, pymongo
      client = pymongo.MongoClient(port=int(sys.argv[1]), serverSelectionTimeoutMS=20000)

      """
    try ChildProcess.run(PythonEnvironment.command("python"), ["-c", before + code, "\(port)"])
  }

  func stop() throws { try child.stop() }
}
