// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import Foundation
internal import FramedTransport
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The metrics of the whole server as a process: as they are scraped, and as they are sent.
@Suite struct MetricsTests {
  private static let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

  /// The metrics that are part of the contract, by their names.
  @Test func whatIsLookedUpAndAnnouncedIsCounted() throws {
    try withTestDatabase { database in
      let server = try HealthServer(uri: database.uri)
      defer { server.end() }
      try server.waitUntilReady()
      let client = try TestClient(server.rpcAddress)
      #expect(try client.agent("nobody").code == .notFound)
      #expect(try client.agent("").code == .invalidArgument)
      try database.python("client.ai_model.prompts.insert_one({'_id': 'bad', 'status': 'active'})")
      try database.python(
        "import bson.json_util; client.ai_model.agent_configs.insert_one(bson.json_util.loads(arguments[0]))",
        [#require(Documents.agent("a").json)])
      try poll("both are counted") {
        let metrics = try server.metrics()
        return metrics["agent_config_cache_size"] == 1
          && metrics["config_lookup_rejected_documents{cache=\"prompt\"}"] == 1
      }
      let found = try server.metrics()
      #expect(found["agent_config_cache_hits_total"] == 1 && found["agent_config_cache_misses_total"] == 0)
      #expect(found["prompt_cache_hits_total"] == 0 && found["source_config_cache_size"] == 0)
      let name = "agent_config_cache_invalidations_total{reason=\"change_stream:insert\",item_id=\"a:1.0.0\"}"
      #expect(found[name] == 1)
      #expect(try #require(found["prompt_cache_age_seconds"]) < 60)
      #expect(found["config_lookup_ready"] == 1 && found["config_lookup_connections"] == 1)
      #expect(try #require(found["config_lookup_cache_bytes{cache=\"agent_config\"}"]) > 100)
      #expect(found["config_lookup_cache_bytes{cache=\"prompt\"}"] == 0)
      #expect(try #require(found["config_lookup_cache_reload_duration_seconds{cache=\"prompt\"}"]) > 0)
      #expect(try #require(found["process_resident_memory_bytes"]) > 1_000_000)
    }
  }

  @Test func everyCallIsCountedByProtocolMethodAndStatusWithItsTime() throws {
    try withDeployment { test in
      let server = try HealthServer(uri: test.uri)
      defer { server.end() }
      try server.waitUntilReady()
      let client = try TestClient(server.rpcAddress)
      for _ in 0..<3 { #expect(try client.agent("nobody").code == .notFound) }
      #expect(try client.rpc.call("Nope", []).status.code == .unimplemented)
      let watch = try Watch.open(server.rpcAddress)
      try Interop.grpcHealthCheck(server.rpcAddress)
      func labels(_ name: String, _ transport: String, _ method: String, _ status: String) -> String {
        "config_lookup_rpc_duration_seconds_\(name){protocol=\"\(transport)\",method=\"\(method)\","
          + "status=\"\(status)\"}"
      }
      let lookup = "configlookup.v1.ConfigLookup/GetAgentConfig"
      try poll("all have ended") {
        let found = try server.metrics()
        return found[labels("count", "framed", lookup, "NOT_FOUND")] == 3
          && found[labels("count", "framed", "_OTHER", "UNIMPLEMENTED")] == 1
          && found[labels("count", "grpc", "grpc.health.v1.Health/Check", "OK")] == 1
      }
      let found = try server.metrics()
      let sum = try #require(found[labels("sum", "framed", lookup, "NOT_FOUND")])
      #expect(sum > 0 && sum < 20)
      #expect(found["config_lookup_open_streams{protocol=\"framed\"}"] == 1 && found["config_lookup_subscribers"] == 1)
      #expect(try #require(found["config_lookup_watch_notices_total"]) >= 1)
      #expect(try #require(found["config_lookup_loop_turn_duration_seconds_count"]) >= 5)
      watch.rpc.close()
      try poll("the watch is over") {
        let name = "configlookup.v1.ConfigLookup/WatchInvalidations"
        return try server.metrics()[labels("count", "framed", name, "CANCELLED")] == 1
      }
    }
  }

  @Test func aStrictReaderFindsNothingToComplainOf() throws {
    try withTestDatabase { database in
      let server = try HealthServer(uri: database.uri)
      defer { server.end() }
      func check() throws {
        let lines = try ChildProcess.run(
          PythonEnvironment.command("python"), ["-B", "Tests/Interop/metrics.py", "http://\(server.address)/metrics"],
          folder: packageRoot)
        #expect(lines.last?.hasPrefix("passed ") == true)
      }
      try check()
      try server.waitUntilReady()
      #expect(try TestClient(server.rpcAddress).agent("nobody").code == .notFound)
      // Names with all characters that must be escaped.
      try database.python(
        #"""
        client.ai_model.prompts.insert_many([{'_id': 'bad"\\\n' + chr(228), 'status': 'active'}])
        """#)
      try poll("it is counted") {
        try server.metrics()["config_lookup_rejected_documents{cache=\"prompt\"}"] == 1
      }
      try check()
    }
  }

  // MARK: OTLP

  @Test func whatIsSentIsWhatIsScraped() throws {
    try withTestDatabase { database in
      let receiver = try OTLPReceiver()
      let server = try HealthServer(
        uri: database.uri,
        environment: [
          Self.endpoint: "http://\(receiver.address)", "OTEL_METRIC_EXPORT_INTERVAL": "100",
          "OTEL_SERVICE_NAME": "lookups",
          "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=a%20test,service.instance.id=one",
          "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b",
        ])
      defer { server.end() }
      try server.waitUntilReady()
      #expect(try TestClient(server.rpcAddress).agent("nobody").code == .notFound)
      // Values that change from one moment to the next: only their presence can be checked.
      let moving = [
        "age_seconds", "lag_seconds", "replay_window", "process_", "loop_turn", "connections", "bytes_total",
      ]
      var differing: [String] = []
      try poll("the two agree") {
        let scraped = try server.metrics().filter { !$0.value.isNaN }
        guard let sent = try receiver.exports.last?.samples, scraped.keys.contains(where: { $0.contains("NOT_FOUND") })
        else { return false }
        differing = Set(scraped.keys).union(sent.keys).filter { name in
          guard let a = scraped[name], let b = sent[name] else { return true }
          return a != b && !moving.contains { name.contains($0) }
        }
        return differing.isEmpty
      }
      #expect(differing.isEmpty)
      let export = try #require(try receiver.exports.last)
      #expect(export.path == "/v1/metrics" && export.headers["x-key"] == "a b")
      #expect(
        export.resource == [
          "service.name": "lookups", "service.instance.id": "one", "deployment.environment": "a test",
          "service.version": serverVersion,
        ])
      #expect(export.units["config_lookup_rpc_duration_seconds"] == "s")
      #expect(export.units["config_lookup_sent_bytes_total"] == "By")
    }
  }

  @Test func aCollectorThatIsAwayCostsALineAndIsSentTheLastFigures() throws {
    try withTestDatabase { database in
      let port = try freePort()
      let server = try HealthServer(
        uri: database.uri,
        environment: [Self.endpoint: "http://127.0.0.1:\(port)", "OTEL_METRIC_EXPORT_INTERVAL": "20"])
      defer { server.end() }
      try server.waitUntilReady()
      let line = try server.child.waitForLine("it says so") { $0.contains("\"event\":\"otlp_export_failed\"") }
      #expect(line.contains("127.0.0.1:\(port)"))
      #expect(try TestClient(server.rpcAddress).agent("nobody").code == .notFound)
      let receiver = try OTLPReceiver(port: port)
      try server.child.waitForLine("it is back") { $0.contains("\"event\":\"otlp_export_recovered\"") }
      #expect(server.child.errorLines.count { $0.contains("otlp_export_failed") } == 1)
      server.child.send(SIGTERM)
      #expect(try server.child.waitForExit() == .exited(0))
      try poll("the end is told") { try receiver.exports.last?.samples["config_lookup_ready"] == 0 }
    }
  }

  @Test func aCollectorThatNeverAnswersHoldsUpNobody() throws {
    try withTestDatabase { database in
      let silent = try SilentListener()
      let server = try HealthServer(
        uri: database.uri,
        environment: [
          Self.endpoint: "http://127.0.0.1:\(silent.port)", "OTEL_METRIC_EXPORT_INTERVAL": "1",
          "OTEL_EXPORTER_OTLP_TIMEOUT": "86400000",
        ])
      defer { server.end() }
      try server.waitUntilReady()
      try silent.waitForClient()
      #expect(try server.get("/health/ready").status == 200)
      server.child.send(SIGTERM)
      #expect(try server.child.waitForExit() == .exited(0))
      // If the exporter kept waiting for the collector, the process would end without this line.
      #expect(server.child.errorLines.last?.contains("\"event\":\"stopped\"") == true)
    }
  }

  @Test func whatCannotBeSpokenIsRefusedAtTheStart() throws {
    let end = try ProcessEnd("config-lookup-server", [], environment: [Self.endpoint: "https://collector:4318"])
    #expect(end.status == .exited(EX_USAGE))
    #expect(end.errors.contains(Self.endpoint) && end.errors.contains("https"))
  }
}
