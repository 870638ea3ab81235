internal import Core
internal import Foundation
internal import Glibc
internal import MongoSource
internal import Network
internal import RPC
internal import Server
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The limits of the whole server that its flags set; those of frames alone are in `FramedTransportTests`.
@Suite struct LimitTests {
  @Test func watchesInAll() throws {
    try withDeployment { test in
      let server = try test.server { $0.maximumSubscribers = 2 }
      let watches = try [Watch.open(server), Watch.open(server)]
      let refused = try Watch(server.address).end().status
      #expect(refused.code == .resourceExhausted && refused.message.contains("2 watches"), "\(refused)")
      #expect(
        try metrics(server.server.httpAddress)["config_lookup_limits_reached_total{limit=\"subscribers\"}"] == "1")
      #expect(server.log.lines(event: "limit_reached").count == 1)
      try test.agents.insert(Documents.agent("a"))
      for watch in watches { #expect(try watch.nextChange().key == "a") }
      #expect(try server.client().agent("a").status == .ok)
      watches[0].rpc.close()
      try poll("room again") { (try? Watch.open(server)) != nil }
    }
  }

  @Test func limitsOfGRPC() throws {
    try withDeployment { test in
      let server = try Interop.server(
        test, ["--max-subscribers", "3", "--max-calls-per-connection", "2", "--max-request-bytes", "1024"])
      try Interop.run("limits.py", "limits", test, [server])
      let line = try server.process.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
      let metrics = try metrics(HostAndPort(#require(jsonObject(line)["http_listen"] as? String)))
      for limit in ["subscribers", "calls_per_connection", "request_bytes"] {
        let count = metrics["config_lookup_limits_reached_total{limit=\"\(limit)\"}"].flatMap(Int.init) ?? 0
        #expect(count > 0, "\(limit)")
      }
    }
  }

  @Test func idleConnectionsOfGRPC() throws {
    try withDeployment { test in
      let server = try Interop.server(test, ["--max-connection-idle-seconds", "1"])
      try Interop.run("limits.py", "idle_connection", test, [server])
    }
  }

  @Test func mistakes() throws {
    for (flag, value) in [
      ("--max-connections", "0"), ("--max-connections-per-address", "many"), ("--max-calls-per-connection", "-1"),
      ("--max-request-bytes", "1000"), ("--max-subscribers", "1.5"), ("--max-queued-keys", "0"),
      ("--handshake-seconds", "0"), ("--max-connection-idle-seconds", "-1"),
    ] {
      let end = try ProcessEnd("config-lookup-server", [flag, value, "--check-config"])
      #expect(end.status == .exited(EX_USAGE) && end.errors.contains("\(flag): \(value) is not"), "\(end.errors)")
    }
  }
}
