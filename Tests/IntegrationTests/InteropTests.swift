// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// gRPC clients of other makers, in Python. The cases are in Tests/Interop; the servers are processes.
@Suite struct InteropTests {
  @Test(arguments: [
    "every_method", "statuses", "error_details", "metadata", "cancelled_watch", "large_reply", "thousand_streams",
  ])
  func calls(name: String) throws {
    try withDeployment { test in
      try Interop.run("calls.py", name, test, [try Interop.server(test)])
    }
  }

  @Test func aServerThatIsNotWarmSaysSo() throws {
    try withDeployment { test in
      let server = try Interop.coldServer(test)
      try Interop.run("calls.py", "not_warm", test, [server])
      try Interop.run("generic.py", "health_of_a_cold_server", test, [server])
    }
  }

  @Test func nothingIsLostWhenConnectionsGrowOld() throws {
    try withDeployment { test in
      let server = try Interop.server(test, ["--max-connection-age-seconds", "1"])
      try Interop.run("calls.py", "connection_age", test, [server])
    }
  }

  @Test func nothingIsLostWhenOneOfTwoServersDrains() throws {
    try withDeployment { test in
      let servers = [try Interop.server(test), try Interop.server(test)]
      try Interop.run("calls.py", "drain_of_one_server", test, servers)
      #expect(try servers[0].process.child.waitForExit() == .exited(0))
    }
  }

  // MARK: Health

  @Test func healthOfEveryServiceAndTheDrainAreSeen() throws {
    try withDeployment { test in
      let server = try Interop.server(test)
      try Interop.run("generic.py", "health", test, [server])
      #expect(try server.process.child.waitForExit() == .exited(0))
    }
  }

  @Test func aHealthWatchFollowsTheDatabase() throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        let server = try Interop.server(test, ["--max-staleness-seconds", "2"])
        let client = try Interop.start("generic.py", "health_that_changes", test, [server])
        try client.waitForLine("serving") { $0 == "serving" }
        database.pause()
        defer { database.resume() }
        try client.waitForLine("not serving") { $0 == "not serving" }
        database.resume()
        try Interop.finish(client)
      }
    }
  }

  @Test func aClientThatAsksForHealthGoesToTheServerThatIsWell() throws {
    try withDeployment { test in
      let servers = [try Interop.coldServer(test), try Interop.server(test)]
      try Interop.run("generic.py", "health_aware_balancing", test, servers)
    }
  }

  // MARK: Reflection

  @Test(arguments: ["reflection", "reflection_of_both_versions"]) func reflection(name: String) throws {
    try withDeployment { test in
      try Interop.run("generic.py", name, test, [try Interop.server(test)])
    }
  }

  @Test func reflectionCanBeSwitchedOff() throws {
    try withDeployment { test in
      try Interop.run("generic.py", "reflection_switched_off", test, [try Interop.server(test, ["--reflection=false"])])
    }
  }
}

/// HTTP/2 clients that attack a server in a process of its own. Another client gets its answers throughout.
@Suite struct HTTP2AbuseTests {
  @Test(arguments: [
    "rapid_reset", "rapid_reset_of_watches", "made_you_reset", "endless_continuation", "empty_continuation",
    "ping_flood", "settings_flood", "empty_data_flood", "priority_flood", "window_update_flood", "window_of_zero",
    "slow_headers", "large_headers", "connections_opened_and_left",
  ])
  func abuse(name: String) throws {
    try withDeployment { test in
      try Interop.run("abuse.py", name, test, [try Interop.server(test)])
    }
  }
}
