// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import TestSupport

extension Fault {
  /// Faults of the server processes.
  static let servers = [
    Fault(
      name: "server-kill", what: "SIGKILL to a server, now this one, now the other, and a start after 0.3 s",
      isShort: true
    ) { bench, number in
      let server = bench.servers[number % 2]
      try server.kill()
      bench.breathe(0.3)
      try server.start()
    },
    Fault(
      name: "server-drain",
      what: "SIGTERM to a server: its watches end with OK after a last PROGRESS, it exits with 0; and a start"
    ) { bench, number in
      let place = number % 2
      let server = bench.servers[place]
      let followers = bench.followers.filter { if case .steady(place, _) = $0.manner { true } else { false } }
      let before = followers.map(\.seen.drainedCount)
      try server.drain()
      for (follower, before) in zip(followers, before) {
        try poll("\(follower.name) has been told of the drain", timeout: .seconds(3)) {
          follower.seen.drainedCount > before
        }
      }
      try server.start()
    },
  ]
}
