// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import FramedTransport
internal import Glibc
internal import Guarantees
internal import ServiceTestSupport
internal import TestSupport

/// A server process with a proxy of its own to the database. Each start of the process is a new life, at the same
/// address. Any thread may query it; one thread starts and stops it.
final class BenchServer: Sendable {
  private struct State: Sendable {
    var process: ServerProcess?
    var life = ""
    var lifeCount = 0
    var isDraining = false
    /// The log of the previous lives.
    var log: [String] = []
    /// The counters of each life, as of the last query.
    var counted: [String: (resyncs: UInt64, reconnects: UInt64, drift: UInt64)] = [:]
  }

  /// `A` or `B`.
  let name: String
  let proxy: FaultProxy
  let address: HostAndPort
  private let judge: Judge
  private let arguments: [String]
  private let state = Locked(State())

  /// The application name by which a failpoint selects the connections of servers.
  static let appName = "faults-server"

  init(_ name: String, of database: TestDatabase, in databaseName: String, judge: Judge, seed: UInt64) throws {
    self.name = name
    self.judge = judge
    proxy = try FaultProxy(to: database.port, seed: seed)
    address = try HostAndPort("127.0.0.1:\(freePort())")
    // A direct connection, so that the driver does not connect to the address that the database advertises, which
    // bypasses the proxy. A dead link is detected after 2 s instead of 10, so that a fault need not last longer than
    // that.
    let uri =
      "mongodb://127.0.0.1:\(proxy.port)/?directConnection=true&appname=\(Self.appName)"
      + "&serverSelectionTimeoutMS=2000&connectTimeoutMS=2000&socketTimeoutMS=2000"
    arguments = [
      "--mongodb-uri", uri, "--listen", "\(address)", "--http-listen", "127.0.0.1:0", "--agent-configs",
      "\(databaseName).agents", "--prompts", "\(databaseName).prompts", "--source-configs", "\(databaseName).sources",
      "--log-format", "json", "--threads", "2", "--drain-seconds", "5",
    ]
  }

  /// The name of the current life; empty while no process is running.
  var life: String { state.withLock { $0.life } }
  var isDraining: Bool { state.withLock { $0.isDraining } }

  /// Every log line of all lives.
  var log: [String] {
    let (before, process) = state.withLock { ($0.log, $0.process) }
    return before + (process?.child.errorLines ?? [])
  }

  /// Starts the process and waits until it is warm.
  func start() throws {
    let known = judge.lastWrite
    let life = state.withLock { state in
      state.lifeCount += 1
      state.isDraining = false
      return "\(name)\(state.lifeCount)"
    }
    judge.with {
      $0.validator.started(life, at: known)
      // The exact time of the load is known only within the server.
      $0.validator.mayBeWarm(life)
    }
    state.withLock { $0.life = life }
    let process = try ServerProcess(arguments)
    state.withLock { $0.process = process }
    _ = try process.address()
    judge.with { $0.validator.mustBeWarm(life) }
  }

  /// Sends SIGKILL.
  func kill() throws {
    _ = try? status()
    try end { process in
      process.child.send(SIGKILL)
      try process.child.waitForExit()
    }
  }

  /// Sends SIGTERM. The process must exit by itself, with 0, within the drain time.
  func drain() throws {
    _ = try? status()
    state.withLock { $0.isDraining = true }
    try end { process in
      process.child.send(SIGTERM)
      let status = try process.child.waitForExit(timeout: .seconds(8))
      guard status == .exited(0) else { throw TestFailure("SIGTERM: server \(name) \(status)") }
    }
  }

  private func end(_ body: (ServerProcess) throws -> Void) throws {
    guard let process = state.withLock({ $0.process }) else { return }
    try body(process)
    let lines = process.child.errorLines
    state.withLock { state in
      state.process = nil
      state.life = ""
      state.log += lines
    }
  }

  /// Sends SIGSTOP: the process keeps its connections and does nothing.
  func pause() { state.withLock { $0.process }?.child.send(SIGSTOP) }
  func resume() { state.withLock { $0.process }?.child.send(SIGCONT) }

  /// Ends the process and the proxy.
  func close() {
    if let process = state.withLock({ $0.process }) {
      process.child.send(SIGKILL)
      _ = try? process.child.waitForExit()
    }
    proxy.stop()
  }

  // MARK: State of the server

  /// The status of its three caches.
  func status() throws -> StatusReply {
    let life = life
    let client = try TestClient(address)
    client.rpc.callTimeout = .seconds(3)
    let status = try client.status()
    let caches = status.caches
    let counted = (
      resyncs: caches.reduce(0) { $0 + $1.resyncs }, reconnects: caches.reduce(0) { $0 + $1.reconnects },
      drift: caches.reduce(0) { $0 + $1.drift }
    )
    state.withLock { $0.counted[life] = counted }
    return status
  }

  /// The counters over all lives and caches.
  var counted: (resyncs: UInt64, reconnects: UInt64, drift: UInt64) {
    state.withLock { state in
      state.counted.values.reduce((0, 0, 0)) { ($0.0 + $1.resyncs, $0.1 + $1.reconnects, $0.2 + $1.drift) }
    }
  }

  /// The revision up to which every change of every cache has been applied.
  func observedRevision() throws -> Revision {
    Revision(try status().caches.map(\.observedRevision).min() ?? 0)
  }
}
