// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import ServiceTestSupport
internal import TestSupport

extension Fault {
  /// Faults of the database's process.
  static let database = [
    Fault(
      name: "database-kill", what: "SIGKILL to the database, and a start after 0 to 1 s", isShort: true
    ) { bench, _ in
      try bench.database.kill()
      bench.breathe(Double(bench.random.below(1000)) / 1000)
      try bench.database.start()
    },
    Fault(name: "database-freeze", what: "SIGSTOP to the database for 1 s, and for 4 s, twice the socket's timeout") {
      bench, number in
      bench.database.pause()
      bench.breathe(number % 2 == 1 ? 4 : 1)
      bench.database.resume()
    },
    Fault(
      name: "database-restart-hop",
      what: "SIGTERM to the database and a start, under four subscribers who go from server to server",
      hopperCount: 4
    ) { bench, _ in
      try bench.database.restart()
    },
  ]

  /// Faults of the position in the oplog.
  static let history = [
    Fault(
      name: "history-lost",
      what: "a server is stopped until the oplog has forgotten its place; its next getMore fails with 43, and the "
        + "resume with a real 286",
      isShort: true, flags: ["--oplog-max-entries", "3000"]
    ) { bench, number in
      let struck = number % 3 == 0 ? bench.servers : [bench.servers[number % 3 - 1]]
      let before = try struck.map { try $0.status() }
      for server in struck { server.pause() }
      defer { for server in struck { server.resume() } }
      try rollOplog(bench, rows: 5000)
      try bench.failCommand(["getMore"], code: 43)
      defer { try? bench.stopFailing() }
      for server in struck { server.resume() }
      try poll("every stream has lost its place", timeout: .seconds(30)) {
        try zip(struck, before).allSatisfy { server, before in
          zip(try server.status().caches, before.caches).allSatisfy { $0.reconnects > $1.reconnects }
        }
      }
      try bench.stopFailing()
      try poll("every cache has been read anew", timeout: .seconds(30)) {
        try zip(struck, before).allSatisfy { server, before in
          zip(try server.status().caches, before.caches).allSatisfy { $0.resyncs > $1.resyncs }
        }
      }
    },
    Fault(
      name: "quiet-hour",
      what: "nobody writes to the three collections while another one rolls the oplog over, three times; then the "
        + "database is out of reach for 2 s: the streams must resume, without reading anew",
      flags: ["--oplog-max-entries", "1000"]
    ) { bench, _ in
      try bench.gate.close()
      defer { bench.gate.open() }
      let before = try bench.servers.map { try $0.status() }
      for _ in 0..<3 {
        try rollOplog(bench, rows: 1500)
        // The heartbeat is written once a second, and a new resume token is received with it.
        bench.breathe(2.2)
      }
      for server in bench.servers { server.proxy.set(.refuse) }
      bench.breathe(2)
      for server in bench.servers { server.proxy.set(.pass) }
      for (server, before) in zip(bench.servers, before) {
        try poll("every stream of server \(server.name) has been opened again") {
          zip(try server.status().caches, before.caches).allSatisfy { now, before in
            now.reconnects > before.reconnects && now.isStreamActive
          }
        }
        let now = try server.status()
        if zip(now.caches, before.caches).contains(where: { $0.resyncs > $1.resyncs }) {
          throw TestFailure("server \(server.name) has read a quiet collection anew: its place was too old")
        }
      }
    },
  ]

  /// Writes `rows` documents to a collection without watches, and prunes the oplog to its limit.
  ///
  /// The documents are written in small batches: SecantusDB silently lets an open stream skip the entries that are
  /// pruned before the stream has read them. MongoDB would end that stream with an error.
  private static func rollOplog(_ bench: Bench, rows: Int) throws {
    for _ in 0..<(rows / 250) {
      let rows = (0..<250).map { _ in #"{"n": 1}"# }.joined(separator: ", ")
      _ = try bench.write("{\"insert\": \"noise\", \"documents\": [\(rows)]}")
      bench.breathe(0.03)
    }
    try bench.command(#"{"secantusAdmin.pruneOplog": 1}"#)
  }
}
