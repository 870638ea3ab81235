// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import Glibc

/// The database of one test: a SecantusDB process, which implements MongoDB's protocol, with a folder of its own.
///
/// Any thread may use it, but only one thread at a time may start and stop it.
public final class TestDatabase: Sendable {
  /// The flags of every database: failpoints can be set, an acknowledged write is on disk, and the resume token of an
  /// idle change stream advances.
  public static let usualFlags = ["--enable-test-commands", "--sync-on-commit", "--noop-heartbeat-seconds", "1"]

  /// The port on 127.0.0.1.
  public let port: UInt16
  private let folder: URL
  private let flags: [String]
  private let process = Locked<ChildProcess?>(nil)

  /// Starts a database and waits until it answers.
  ///
  /// - Parameter flags: further flags after ``usualFlags``.
  /// - Throws: ``TestFailure`` if the database does not start.
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

  /// The connection string.
  public var uri: String { "mongodb://127.0.0.1:\(port)/" }

  /// The id of the running process; nil if there is none.
  public var pid: Int32? { process.withLock { $0?.pid } }

  /// The last log lines of the database since its last start, for a message.
  public var lastLines: String { process.withLock { $0 }?.lastLines ?? "" }

  /// Starts the database again after ``stop()`` or ``kill()``, with the same port and folder.
  ///
  /// - Throws: ``TestFailure`` if the database does not start.
  public func start() throws {
    let arguments = ["--port", "\(port)", "--storage-path", folder.appendingPathComponent("data").path]
    // HOME is set so that no secantusd.toml of the user who runs the tests takes effect.
    let child = try ChildProcess(
      PythonEnvironment.command("secantusd-py"), arguments + flags, environment: ["HOME": folder.path],
      folder: folder)
    process.withLock { $0 = child }
    do {
      try poll("the database answers", timeout: .seconds(60)) {
        guard child.isRunning else { throw TestFailure("it ended") }
        return answersHello(port: port)
      }
    } catch {
      throw TestFailure("the database does not start: \(error). Its last lines:\n\(child.lastLines)")
    }
  }

  /// Ends the process by SIGTERM, and by SIGKILL if it does not end in time. Waits for the end. The data is kept.
  ///
  /// - Throws: ``TestFailure`` if the process does not end.
  public func stop() throws {
    try take()?.stop()
  }

  /// Ends the process by SIGKILL. Waits for the end. The data is kept as it is on disk.
  ///
  /// - Throws: ``TestFailure`` if the process does not end.
  public func kill() throws {
    guard let child = take() else { return }
    child.send(SIGKILL)
    try child.waitForExit()
  }

  /// Stops the database, if it is running, and starts it again.
  ///
  /// - Throws: ``TestFailure`` if the database does not stop or start.
  public func restart() throws {
    try stop()
    try start()
  }

  /// Pauses the process by SIGSTOP: connections stay open, but no request is answered.
  public func pause() {
    process.withLock { $0 }?.send(SIGSTOP)
  }

  /// Continues the process by SIGCONT.
  public func resume() {
    process.withLock { $0 }?.send(SIGCONT)
  }

  /// Ends the process and deletes its data.
  public func close() {
    if let child = take() {
      child.send(SIGKILL)
      _ = try? child.waitForExit()
    }
    try? FileManager.default.removeItem(at: folder)
  }

  /// Runs a Python program with the variables `client`, a pymongo client of this database, and `arguments`.
  ///
  /// - Parameters:
  ///   - code: the program.
  ///   - arguments: the arguments.
  ///   - timeout: the longest run time.
  /// - Returns: the lines of standard output.
  /// - Throws: ``TestFailure`` if the program fails.
  @discardableResult
  public func python(_ code: String, _ arguments: [String] = [], timeout: Duration = .seconds(60)) throws -> [String] {
    let before = """
      import sys, bson, pymongo
      client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=10000)
      arguments = sys.argv[2:]

      """
    return try ChildProcess.run(
      PythonEnvironment.command("python"), ["-c", before + code, uri] + arguments, timeout: timeout)
  }

  private func take() -> ChildProcess? {
    process.withLock { process in
      defer { process = nil }
      return process
    }
  }
}

/// Runs a closure with a database, which is ended and deleted afterwards.
///
/// - Parameters:
///   - flags: further flags after ``TestDatabase/usualFlags``.
///   - body: the closure.
/// - Returns: the closure's result.
/// - Throws: the closure's error, or ``TestFailure`` if the database does not start.
public func withTestDatabase<Result>(_ flags: String..., body: (TestDatabase) throws -> Result) throws -> Result {
  let database = try TestDatabase(flags)
  defer { database.close() }
  return try body(database)
}

/// Runs an asynchronous closure with a database, which is ended and deleted afterwards.
///
/// - Parameters:
///   - flags: further flags after ``TestDatabase/usualFlags``.
///   - isolation: the actor on which the closure runs.
///   - body: the closure.
/// - Returns: the closure's result.
/// - Throws: the closure's error, or ``TestFailure`` if the database does not start.
public func withTestDatabase<Result>(
  _ flags: String..., isolation: isolated (any Actor)? = #isolation, body: (TestDatabase) async throws -> Result
) async throws -> Result {
  let database = try TestDatabase(flags)
  defer { database.close() }
  return try await body(database)
}
