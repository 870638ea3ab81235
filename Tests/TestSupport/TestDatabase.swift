internal import Core
internal import Foundation
internal import Glibc

/// A database of one test: SecantusDB, which speaks MongoDB's protocol, as a process with a folder of its own.
///
/// Any thread; but only one at a time may start and stop it.
public final class TestDatabase: Sendable {
  /// Failpoints can be set; a write that was acknowledged is on disk; a quiet change stream's token moves on.
  public static let usualFlags = ["--enable-test-commands", "--sync-on-commit", "--noop-heartbeat-seconds", "1"]

  public let port: UInt16
  private let folder: URL
  private let flags: [String]
  private let process = Locked<ChildProcess?>(nil)

  /// Starts a database and waits until it answers. `flags` come after ``usualFlags``.
  public init(_ flags: [String] = []) throws {
    folder = try makeTemporaryFolder()
    self.flags = Self.usualFlags + flags
    port = try freePort()
    do {
      try start()
    } catch {
      close()
      throw error
    }
  }

  deinit {
    close()
  }

  public var uri: String { "mongodb://127.0.0.1:\(port)/" }

  /// Of the process that runs now.
  public var pid: Int32? { process.withLock { $0?.pid } }

  /// What the database has logged since its last start, for a message.
  public var lastLines: String { process.withLock { $0 }?.lastLines ?? "" }

  /// Starts it again, on the same port and folder, after ``stop()`` or ``kill()``.
  public func start() throws {
    let arguments = ["--port", "\(port)", "--storage-path", folder.appendingPathComponent("data").path]
    // HOME: a secantusd.toml of the person who runs the tests must not count.
    let child = try ChildProcess(
      PythonEnvironment.command("secantusd-py"), arguments + flags, environment: ["HOME": folder.path],
      folder: folder)
    process.withLock { $0 = child }
    do {
      try poll("the database answers", timeoutSeconds: 60) {
        guard child.isRunning else { throw TestFailure("it ended") }
        return answersHello(port: port)
      }
    } catch {
      throw TestFailure("the database does not start: \(error). Its last lines:\n\(child.lastLines)")
    }
  }

  /// SIGTERM, and SIGKILL after 10 s. Waits for the end; the data stays.
  public func stop() throws {
    try take()?.stop()
  }

  /// SIGKILL. Waits for the end; the data stays as it is on disk.
  public func kill() throws {
    guard let child = take() else { return }
    child.send(SIGKILL)
    try child.waitForExit()
  }

  /// ``stop()``, if it runs, and ``start()``.
  public func restart() throws {
    try stop()
    try start()
  }

  /// SIGSTOP: connections stay, nothing is answered.
  public func pause() {
    process.withLock { $0 }?.send(SIGSTOP)
  }

  /// SIGCONT.
  public func resume() {
    process.withLock { $0 }?.send(SIGCONT)
  }

  /// Ends it and deletes its data.
  public func close() {
    if let child = take() {
      child.send(SIGKILL)
      _ = try? child.waitForExit()
    }
    try? FileManager.default.removeItem(at: folder)
  }

  /// Runs Python with `client`, a pymongo client of this database, and `arguments`. Gives what it prints, in lines.
  @discardableResult
  public func python(_ code: String, _ arguments: [String] = [], timeoutSeconds: Double = 60) throws -> [String] {
    let before = """
      import sys, bson, pymongo
      client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=10000)
      arguments = sys.argv[2:]

      """
    return try ChildProcess.run(
      PythonEnvironment.command("python"), ["-c", before + code, uri] + arguments, timeoutSeconds: timeoutSeconds)
  }

  private func take() -> ChildProcess? {
    process.withLock { process in
      defer { process = nil }
      return process
    }
  }
}

/// A database for the time of `body`, ended and deleted afterwards. `flags` come after ``TestDatabase/usualFlags``.
public func withTestDatabase<Result>(_ flags: String..., body: (TestDatabase) throws -> Result) throws -> Result {
  let database = try TestDatabase(flags)
  defer { database.close() }
  return try body(database)
}

/// A database for the time of `body`, ended and deleted afterwards. `flags` come after ``TestDatabase/usualFlags``.
public func withTestDatabase<Result>(
  _ flags: String..., isolation: isolated (any Actor)? = #isolation, body: (TestDatabase) async throws -> Result
) async throws -> Result {
  let database = try TestDatabase(flags)
  defer { database.close() }
  return try await body(database)
}
