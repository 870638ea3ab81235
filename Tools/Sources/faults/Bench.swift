// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Foundation
internal import Guarantees
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport

/// The environment in which one fault is tested: a database, two servers, writers, readers and subscribers. Used on the
/// main thread.
final class Bench {
  struct Options: Sendable {
    /// The time during which a fault is repeated.
    var seconds = 8.0
    /// Whether the run has fewer error codes and fewer tries.
    var isShort = false
    var seed: UInt64 = 0
    /// The folder for the logs of a fault under which a guarantee was broken.
    var logFolder = URL(fileURLWithPath: "/tmp")
  }

  let fault: Fault
  let options: Options
  let judge = Judge()
  let database: TestDatabase
  let servers: [BenchServer]
  let gate = WriterGate()
  private(set) var writers: [Writer] = []
  private(set) var followers: [Follower] = []
  private(set) var recoverySeconds: [Double] = []
  private(set) var cycleCount = 0
  var random: SeededRandom
  private let pool: MongoClientPool
  private let stop = StopSwitch()
  private var threads: [OSThread] = []

  /// The name of the database that contains the three collections.
  static let databaseName = "bench"

  init(_ fault: Fault, _ options: Options) throws {
    self.fault = fault
    self.options = options
    random = SeededRandom(seed: options.seed)
    database = try TestDatabase(fault.flags)
    // The connections bypass the proxies, and their timeout is longer than any fault: a write that was sent is
    // executed, or its connection breaks.
    pool = try MongoClientPool(
      uri: database.uri + "?directConnection=true&appname=faults-writer&socketTimeoutMS=600000&retryWrites=false")
    let (judge, gate, pool, database) = (judge, gate, pool, database)
    let seeds = (random.next(), random.next())
    servers = [
      try BenchServer("A", of: database, in: Self.databaseName, judge: judge, seed: seeds.0),
      try BenchServer("B", of: database, in: Self.databaseName, judge: judge, seed: seeds.1),
    ]
    writers = (0..<4).map { number in
      // One writer writes documents that are large enough for a slow reader to fall behind.
      let pace = number == 0 ? Writer.Pace(milliseconds: 60, padding: 20_000) : Writer.Pace()
      return Writer("w\(number)", in: Self.databaseName, pool: pool, judge: judge, gate: gate, pace: pace)
    }
    let servers = servers
    func follower(_ name: String, _ manner: Follower.Manner) -> Follower {
      Follower(name, manner, servers: servers, judge: judge)
    }
    followers = [
      follower("steady on A", .steady(0, .frames)), follower("steady on B", .steady(1, .gRPC)),
      follower("slow on A", .slow(0, .gRPC)), follower("slow on B", .slow(1, .frames)),
    ]
    followers += (0..<fault.hopperCount).map { follower("hopping \($0 + 1)", .hopping) }
  }

  /// Repeats the fault for the given time, and reports the result.
  func run() -> Report {
    do {
      try start()
      let end = MonotonicTime.now.advanced(by: .seconds(options.seconds))
      repeat {
        cycleCount += 1
        try cycle()
      } while !fault.isOnce && MonotonicTime.now < end && judge.violations.isEmpty
    } catch {
      judge.trouble("\(error)")
    }
    for server in servers { _ = try? server.status() }
    let report = Report(self)
    close()
    return report
  }

  private func start() throws {
    for writer in writers {
      var own = SeededRandom(seed: random.next())
      for _ in 0..<15 { writer.step(&own, stop) }
    }
    for server in servers { try server.start() }
    // Changes that were acknowledged before a subscriber was watching need not be announced.
    judge.with { $0.changes = [] }
    let (stop, judge, servers) = (stop, judge, servers)
    for follower in followers {
      let seed = random.next()
      threads.append(OSThread(name: follower.name) { follower.run(seed: seed, until: stop) })
    }
    try poll("every subscriber has its first state") { followers.allSatisfy { $0.progress > .none } }
    for (readsWrites, transport) in [(false, Transport.frames), (false, .gRPC), (true, .frames), (true, .gRPC)] {
      let seed = random.next()
      let reader = Reader(servers: servers, over: transport, judge: judge)
      threads.append(
        OSThread(name: "reader over \(transport)") { reader.run(readsWrites: readsWrites, seed: seed, until: stop) })
    }
    for writer in writers {
      let seed = random.next()
      threads.append(OSThread(name: writer.name) { writer.run(seed: seed, until: stop) })
    }
    for server in servers where server.proxy.linkCount < 3 {
      throw TestFailure("server \(server.name) does not reach the database through its proxy")
    }
  }

  private func cycle() throws {
    let before = judge.writeCount
    breathe(0.4)
    try fault.strike(self, cycleCount)
    if fault.isOnce { try settle() } else { try recover() }
    breathe(0.2)
    try settle()
    let seconds = recoverySeconds.last.map { String(format: "%.2f s", $0) } ?? "-"
    say("try \(cycleCount): \(judge.writeCount - before) writes, recovered in \(seconds)")
  }

  private func close() {
    // A writer may be waiting for a suspended database; and a writer whose database has ended would search for it for a
    // while.
    database.resume()
    stop.set()
    try? gate.close()
    gate.end()
    for server in servers { server.resume() }
    for server in servers { server.close() }
    database.close()
    for thread in threads { thread.join() }
    threads = []
  }

  // MARK: Operations for faults

  /// Prints a line of progress.
  func say(_ text: String) {
    output("  \(fault.name) \(text)")
  }

  /// Waits while all threads work.
  func breathe(_ seconds: Double) {
    Thread.sleep(forTimeInterval: seconds)
  }

  /// Runs a command on the administrative database, bypassing the proxies.
  @discardableResult
  func command(_ json: String) throws -> BSONDocument {
    try pool.command(BSONDocument(json: json), database: "admin")
  }

  /// Runs a write command on the database of the collections. Returns its operation time.
  func write(_ json: String, admin: Bool = false) throws -> Revision {
    try pool.write(json, in: admin ? "admin" : Self.databaseName)
  }

  /// Waits after a fault until both servers have observed the first write after it, and records the time that this
  /// took.
  func recover() throws {
    let end = MonotonicTime.now
    judge.with { ($0.wantsNextWrite, $0.nextWrite) = (true, nil) }
    try poll("both servers have observed the first write after the fault", timeout: .seconds(60)) {
      guard let revision = judge.with({ $0.nextWrite }) else { return false }
      return servers.allSatisfy { ((try? $0.observedRevision()) ?? .none) >= revision }
    }
    recoverySeconds.append(MonotonicTime.now.duration(since: end).seconds)
  }

  /// Pauses the writers and compares every key on both servers, and the state of every subscriber, with the history of
  /// writes.
  func settle() throws {
    try gate.close()
    defer { gate.open() }
    for follower in followers { follower.urge(true) }
    defer { for follower in followers { follower.urge(false) } }
    let last = judge.lastWrite
    try poll("both servers have observed the last write", timeout: .seconds(40)) {
      servers.allSatisfy { ((try? $0.observedRevision()) ?? .none) >= last }
    }
    for server in servers {
      for transport in Transport.allCases {
        let client = try JudgedClient(server, over: transport, judge: judge)
        for key in judge.allKeys {
          let code = try client.look(key, known: last)
          if code != .ok && code != .notFound { judge.trouble("server \(server.name): \(key): \(code)") }
        }
      }
    }
    // A PROGRESS up to the last write triggers the comparison of the subscriber's state.
    for follower in followers {
      do {
        try poll("\(follower.name) has come to the last write", timeout: .seconds(40)) { follower.progress >= last }
      } catch {
        throw TestFailure("\(error); it said last: \(follower.seen.lastProblem)")
      }
    }
  }
}
