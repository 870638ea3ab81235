internal import Core
internal import FramedTransport
internal import Glibc
internal import Guarantees
internal import Network
internal import RPC
internal import ServiceTestSupport
internal import TestSupport

/// A server as a process, behind a proxy of its own to the database. Started again, it begins another life at the same
/// address. Any thread may talk to it; one starts and ends it.
final class BenchServer: Sendable {
  private struct State: Sendable {
    var process: ServerProcess?
    var life = ""
    var lifeCount = 0
    var isDraining = false
    /// Of the lives before this one.
    var log: [String] = []
    /// What each life has counted, as far as it was asked.
    var counted: [String: (resyncs: UInt64, reconnects: UInt64, drift: UInt64)] = [:]
  }

  /// `A`, `B`.
  let name: String
  let proxy: FaultProxy
  let address: HostAndPort
  private let judge: Judge
  private let arguments: [String]
  private let state = Locked(State())

  /// By which a failpoint finds the connections of servers.
  static let appName = "faults-server"

  init(_ name: String, of database: TestDatabase, in databaseName: String, judge: Judge, seed: UInt64) throws {
    self.name = name
    self.judge = judge
    proxy = try FaultProxy(to: database.port, seed: seed)
    address = try HostAndPort("127.0.0.1:\(freePort())")
    // Directly, so that the driver does not go to the address by which the database knows itself, past the proxy. And
    // a dead link shows after 2 s, not 10: a fault need not be longer than that to be noticed.
    let uri =
      "mongodb://127.0.0.1:\(proxy.port)/?directConnection=true&appname=\(Self.appName)"
      + "&serverSelectionTimeoutMS=2000&connectTimeoutMS=2000&socketTimeoutMS=2000"
    arguments = [
      "--mongodb-uri", uri, "--listen", "\(address)", "--http-listen", "127.0.0.1:0", "--agent-configs",
      "\(databaseName).agents", "--prompts", "\(databaseName).prompts", "--source-configs", "\(databaseName).sources",
      "--log-format", "json", "--threads", "2", "--drain-seconds", "5",
    ]
  }

  /// The name of this life; empty while no process runs.
  var life: String { state.withLock { $0.life } }
  var isDraining: Bool { state.withLock { $0.isDraining } }

  /// Every line that it has logged, in all lives.
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
      // When exactly it has loaded, only it knows.
      $0.validator.mayBeWarm(life)
    }
    state.withLock { $0.life = life }
    let process = try ServerProcess(arguments)
    state.withLock { $0.process = process }
    _ = try process.address()
    judge.with { $0.validator.mustBeWarm(life) }
  }

  /// SIGKILL.
  func kill() throws {
    _ = try? status()
    try end { process in
      process.child.send(SIGKILL)
      try process.child.waitForExit()
    }
  }

  /// SIGTERM; it must end by itself, with 0, before the drain's time is over.
  func drain() throws {
    _ = try? status()
    state.withLock { $0.isDraining = true }
    try end { process in
      process.child.send(SIGTERM)
      let status = try process.child.waitForExit(timeoutSeconds: 8)
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

  /// SIGSTOP: it keeps its connections and does nothing.
  func pause() { state.withLock { $0.process }?.child.send(SIGSTOP) }
  func resume() { state.withLock { $0.process }?.child.send(SIGCONT) }

  /// Ends everything.
  func close() {
    if let process = state.withLock({ $0.process }) {
      process.child.send(SIGKILL)
      _ = try? process.child.waitForExit()
    }
    proxy.stop()
  }

  // MARK: What it says of itself

  /// Of its three caches.
  func status() throws -> StatusReply {
    let life = life
    let client = try TestClient(address)
    client.rpc.patienceSeconds = 3
    let status = try client.status()
    let caches = status.caches
    let counted = (
      resyncs: caches.reduce(0) { $0 + $1.resyncs }, reconnects: caches.reduce(0) { $0 + $1.reconnects },
      drift: caches.reduce(0) { $0 + $1.drift }
    )
    state.withLock { $0.counted[life] = counted }
    return status
  }

  /// Over all lives and caches.
  var counted: (resyncs: UInt64, reconnects: UInt64, drift: UInt64) {
    state.withLock { state in
      state.counted.values.reduce((0, 0, 0)) { ($0.0 + $1.resyncs, $0.1 + $1.reconnects, $0.2 + $1.drift) }
    }
  }

  /// Up to here every change of every cache has been applied.
  func observedRevision() throws -> Revision {
    Revision(try status().caches.map(\.observedRevision).min() ?? 0)
  }
}
