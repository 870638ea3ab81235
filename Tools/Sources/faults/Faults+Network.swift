// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ServiceTestSupport
internal import TestSupport

extension Fault {
  /// Faults of the network between the servers and the database.
  static let network = [
    Fault(name: "network-reset", what: "every connection to the database is reset, five times in 2 s") {
      bench, number in
      try breakStreams(of: struck(bench, number)) { servers in
        for _ in 0..<5 {
          for server in servers { server.proxy.reset() }
          bench.breathe(0.4)
        }
      }
    },
    network("network-refused", "connections are reset and refused for 2 s", .refuse, seconds: 2),
    network(
      "network-black-hole", "not a byte passes for 4 s, and connections stay: twice the socket's timeout",
      .stall(toDatabase: true, toServer: true), seconds: 4),
    Fault(name: "network-half-open", what: "bytes pass in one direction only, for 4 s; now this one, now the other") {
      bench, number in
      try breakStreams(of: struck(bench, number)) { servers in
        for server in servers {
          server.proxy.set(.stall(toDatabase: number % 2 == 1, toServer: number % 2 == 0))
        }
        bench.breathe(4)
        for server in servers { server.proxy.set(.pass) }
      }
    },
    network(
      "network-cut", "for 3 s, each connection is reset after 1 to 6,000 bytes from the database",
      .cut(afterBytes: 1...6000), seconds: 3, isShort: true),
    Fault(name: "network-delay", what: "for 3 s, everything arrives 5 to 150 ms later") { bench, number in
      let servers = struck(bench, number)
      for server in servers { server.proxy.set(.delay(milliseconds: 5...150)) }
      bench.breathe(3)
      for server in servers { server.proxy.set(.pass) }
    },
  ]

  private static func network(
    _ name: String, _ what: String, _ mode: FaultProxy.Mode, seconds: Double, isShort: Bool = false
  ) -> Fault {
    Fault(name: name, what: what, isShort: isShort) { bench, number in
      try breakStreams(of: struck(bench, number)) { servers in
        for server in servers { server.proxy.set(mode) }
        bench.breathe(seconds)
        for server in servers { server.proxy.set(.pass) }
      }
    }
  }

  /// Runs `body`, and throws if no stream has broken, because such a fault would test nothing.
  private static func breakStreams(of servers: [BenchServer], _ body: ([BenchServer]) throws -> Void) throws {
    func reconnects() throws -> [UInt64] {
      try servers.map { try $0.status().caches.reduce(0) { $0 + $1.reconnects } }
    }
    let before = try reconnects()
    try body(servers)
    let after = try reconnects()
    if zip(before, after).contains(where: { $0 == $1 }) { throw TestFailure("no stream has broken: no fault") }
  }

  /// The servers that a try affects: first both, then the first, then the second.
  private static func struck(_ bench: Bench, _ number: Int) -> [BenchServer] {
    number % 3 == 1 ? bench.servers : [bench.servers[number % 3 == 2 ? 0 : 1]]
  }
}
