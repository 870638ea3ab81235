// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import ConfigLookupTLS
internal import Foundation
internal import FramedTransport
internal import Glibc
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Each limit that a flag sets, reached in a real server: the status that the client gets, the metric, the log line,
/// and that other clients are served as before.
@Suite struct LimitTests {
  // MARK: Connections

  @Test func connectionsInAll() throws {
    try reaching(.connections, { $0.maximumConnections = 3 }) { server, _ in
      let third = try server.client()
      #expect(try third.agent("nobody").code == .notFound)
      #expect(throws: RPCClientError.self) { try server.client().agent("nobody") }
      third.rpc.close()
      try poll("room again") { (try? server.client().agent("nobody")) != nil }
    }
  }

  @Test func connectionsPerAddress() throws {
    try reaching(.connectionsPerAddress, { $0.maximumConnectionsPerAddress = 3 }) { server, _ in
      let third = try server.client()
      #expect(try third.agent("nobody").code == .notFound)
      #expect(throws: RPCClientError.self) { try server.client().agent("nobody") }
    }
  }

  @Test func silentConnections() throws {
    try reaching(.silentConnection, { $0.firstByteTimeout = .milliseconds(100) }) { server, _ in
      try RawSocket(server.address).waitForEnd()
    }
  }

  @Test func idleConnections() throws {
    try reaching(.idleConnection, { $0.maximumConnectionIdleTime = .milliseconds(200) }, others: false) { server, _ in
      let watch = try Watch.open(server)
      let client = try FramedClient(server.address)
      try client.ping(1, deadline: soon())
      #expect(try client.nextEvent(deadline: soon()) == .goAway(reason: "idle"))
      try watch.rpc.ping(1, deadline: soon())
    }
  }

  @Test func connectionsOfHTTP() throws {
    try reaching(.httpConnections, { $0.maximumHTTPConnections = 3 }) { server, _ in
      let silent = try (0..<4).map { _ in try RawSocket(server.server.httpAddress) }
      try silent[0].waitForEnd()
    }
    try reaching(.httpConnectionsPerAddress, { $0.maximumHTTPConnectionsPerAddress = 3 }) { server, _ in
      let silent = try (0..<4).map { _ in try RawSocket(server.server.httpAddress) }
      try silent[0].waitForEnd()
    }
  }

  @Test func theFirstRequestOfHTTP() throws {
    try reaching(.httpFirstRequest, { $0.httpFirstRequestTimeout = .milliseconds(100) }) { server, _ in
      try RawSocket(server.server.httpAddress).waitForEnd()
    }
  }

  @Test func handshakes() throws {
    try withFiles { files in
      try withDeployment { test in
        let server = try test.server {
          ($0.tlsCertificate, $0.tlsKey, $0.isHTTPPlain) = (files.pair.certificate, files.pair.key, true)
          $0.handshakeTimeout = .milliseconds(100)
        }
        let other = TestClient(
          try FramedClient(server.address, tls: TLSContext(clientTrusting: files.authority.certificate)))
        try RawSocket(server.address).waitForEnd()
        #expect(try other.agent("nobody").code == .notFound)
        let name = "config_lookup_tls_handshake_failures_total{reason=\"timed_out\"}"
        #expect(try metrics(server.server.httpAddress)[name] == 1)
        #expect(server.log.lines(event: "tls_handshake_failed").count == 1)
      }
    }
  }

  // MARK: Calls

  /// Over the framed protocol. A gRPC client that respects the server's settings waits by itself; `limitsOfGRPC` has
  /// one that does not.
  @Test func callsPerConnection() throws {
    try reaching(.callsPerConnection, { $0.maximumCallsPerConnection = 2 }) { server, _ in
      let watch = try Watch.open(server)
      let second = try Watch(watch.rpc)
      #expect(try second.next().kind == .progress)
      let refused = try Watch(watch.rpc).end().status
      #expect(refused.reason == .callsPerConnectionLimit && refused.message.contains("2 calls"), "\(refused)")
      try watch.rpc.ping(1, deadline: soon())
    }
  }

  @Test(arguments: Transport.allCases) func requestBytes(transport: Transport) throws {
    try reaching(.requestBytes, { $0.maximumRequestBytes = 1024 }) { server, _ in
      let client = try TestClient(server.address, transport)
      if transport == .gRPC {
        #expect(try client.agent(String(repeating: "a", count: 1100)).status.reason == .messageTooLarge)
        #expect(try client.agent("nobody").code == .notFound)
      } else {
        let error = #expect(throws: RPCClientError.self) { try client.agent(String(repeating: "a", count: 1100)) }
        #expect(error?.code == .goAway && error.map { "\($0)" }?.contains("1024") == true)
      }
    }
  }

  // MARK: Watches

  @Test func subscribers() throws {
    try reaching(.subscribers, { $0.maximumSubscribers = 2 }) { server, _ in
      let second = try Watch.open(server)
      let refused = try Watch(server.address).end().status
      #expect(refused.reason == .subscribersLimit && refused.details?.metadata["maximum"] == "2", "\(refused)")
      second.rpc.close()
      try poll("room again") { (try? Watch.open(server)) != nil }
    }
  }

  @Test func queuedKeys() throws {
    try reaching(.queuedKeys, { $0.maximumQueuedKeys = 5 }) { server, test in
      let slow = try Watch.open(server, .init(includesValues: true))
      let large = String(repeating: "x", count: 200_000)
      var number = 0
      try poll("the slow one is too slow") {
        try test.agents.insert(Documents.agent("large\(number)", description: large))
        number += 1
        return try count(.queuedKeys, server) > 0
      }
      while try slow.nextChange().kind != .resync {}
      try test.agents.insert(Documents.agent("next"))
      #expect(try slow.nextChange().key == "next")
    }
  }

  // MARK: Memory in all

  /// Clients that request large answers and read none of them.
  @Test func bufferedBytes() throws {
    try reaching(.bufferedBytes, { $0.maximumBufferedBytes = 2 * 1024 * 1024 }) { server, test in
      try test.agents.insert(Documents.agent("big", description: String(repeating: "x", count: 100_000)))
      let client = try server.client()
      try poll("it is there") { try client.agent("big").hasValue }
      var lazy: [FramedClient] = []
      let call = FramedClient.encodeCall(id: 1, "GetAgentConfig", Array("\n\u{3}big".utf8))
      try poll("too much waits") {
        let client = try? FramedClient(server.address)
        for _ in 0..<20 { try? client?.send(call) }
        if let client { lazy.append(client) }
        return try count(.bufferedBytes, server) > 0
      }
      #expect(lazy.count > 2, "each holds little")
      try poll("there is room again") { (try? Watch.open(server)) != nil }
    }
  }

  // MARK: Others

  @Test func limitsOfGRPC() throws {
    try withDeployment { test in
      let server = try Interop.server(
        test, ["--max-subscribers", "3", "--max-calls-per-connection", "2", "--max-request-bytes", "1024"])
      try Interop.run("limits.py", "limits", test, [server])
      let line = try server.process.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
      let metrics = try metrics(HostAndPort(#require(jsonObject(line)["http_listen"] as? String)))
      for limit in ["subscribers", "calls_per_connection", "request_bytes"] {
        #expect(metrics["config_lookup_limits_reached_total{limit=\"\(limit)\"}"] ?? 0 > 0, "\(limit)")
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
      ("--max-buffered-bytes", "1000"), ("--handshake-seconds", "0"), ("--silence-seconds", "x"),
      ("--max-http-connections", "0"), ("--max-http-connections-per-address", "-1"),
      ("--http-first-request-seconds", "0"),
      ("--max-connection-idle-seconds", "-1"),
    ] {
      let end = try ProcessEnd("config-lookup-server", [flag, value, "--check-config"])
      #expect(end.status == .exited(EX_USAGE) && end.errors.contains("\(flag): \(value) is not"), "\(end.errors)")
    }
  }

  /// The value of the metric: how often the limit was reached.
  private func count(_ limit: ServerLimit, _ server: RunningServer) throws -> Double {
    try metrics(server.server.httpAddress)["config_lookup_limits_reached_total{limit=\"\(limit.rawValue)\"}"] ?? 0
  }

  /// Has `body` reach a limit of a server that other clients use: a watch and a client on connections of their own,
  /// which must not be affected.
  private func reaching(
    _ limit: ServerLimit, _ configure: (inout ServerConfiguration) -> Void, others: Bool = true,
    _ body: (RunningServer, Deployment) throws -> Void
  ) throws {
    try withDeployment { test in
      let server = try test.server(configure)
      let (watch, client) = others ? (try Watch.open(server, .init(keys: ["fence"])), try server.client()) : (nil, nil)
      if let client { #expect(try client.agent("fence").code == .notFound) }
      try body(server, test)
      try poll("it is counted") { try count(limit, server) > 0 }
      let lines = server.log.lines(event: "limit_reached")
      #expect(lines.contains { $0.contains("\"limit\":\"\(limit.rawValue)\"") }, "\(lines)")
      try test.agents.insert(Documents.agent("fence"))
      if let watch { #expect(try watch.nextChange().key == "fence") }
      if let client { #expect(try client.agent("fence").status == .ok) }
    }
  }
}
