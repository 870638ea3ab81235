// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Health over HTTP, of the whole server as a process.
@Suite struct HealthTests {
  @Test func aServerWithoutADatabaseLivesAndIsNotReady() throws {
    let server = try HealthServer(uri: "mongodb://127.0.0.1:\(freePort())/?serverSelectionTimeoutMS=200")
    defer { server.end() }
    let live = try server.get("/health/live")
    #expect(live.status == 200 && live.text == "{\"status\":\"live\"}\n")
    try poll("it says why") {
      let ready = try server.get("/health/ready")
      #expect(ready.status == 503)
      let reasons = try #require(ready.object["reasons"] as? [[String: Any]])
      #expect(reasons.map { $0["cache"] as? String } == ["agent_config", "prompt", "source_config"])
      #expect(reasons.allSatisfy { $0["reason"] as? String == "not_loaded" })
      return reasons.allSatisfy { $0["source_error"] is String }
    }
    let tool = try ProcessEnd("config-lookup", ["health", "--server", "\(server.rpcAddress)"])
    #expect(tool.status == .exited(EX_UNAVAILABLE) && tool.output == ["not serving"])
    let prompt = try #require(server.get("/health/cache").object["prompt"] as? [String: Any])
    #expect(prompt["cache_age_seconds"] is NSNull && prompt["loaded_at"] is NSNull)
    #expect(prompt["cache_valid"] as? Bool == false && prompt["source_error"] is String)
  }

  @Test func aWarmServerTellsAllOfItsCaches() throws {
    let database = try TestDatabase()
    defer { database.close() }
    try database.python("client.ai_model.prompts.insert_one({'_id': 'bad', 'status': 'active'})")
    let server = try HealthServer(uri: database.uri)
    defer { server.end() }
    let line = try server.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
    #expect(line.contains("\"http_listen\":\"\(server.address)\""))
    let ready = try server.get("/health/ready")
    #expect(ready.status == 200 && ready.text == "{\"status\":\"ready\"}\n")

    let caches = try server.get("/health/cache").object
    #expect(caches.keys.sorted() == ["agent_config", "prompt", "source_config"])
    for cache in caches.values {
      let cache = try #require(cache as? [String: Any])
      #expect(
        cache.keys.sorted() == [
          "cache_age_seconds", "cache_size", "cache_valid", "change_stream_active", "conflict_count", "conflicts",
          "drift",
          "last_change_at",
          "loaded_at", "observed_revision", "reconnects", "rejected", "rejected_count", "resyncs", "source_error",
        ])
      #expect(cache["cache_valid"] as? Bool == true && cache["source_error"] is NSNull)
      #expect(cache["cache_age_seconds"] is Double && cache["last_change_at"] is NSNull)
      #expect(UInt64(try #require(cache["observed_revision"] as? String)) != nil)
      let loadedAt = try #require(cache["loaded_at"] as? String)
      let time = try Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(loadedAt)
      #expect(abs(time.timeIntervalSinceNow) < 60)
    }
    let prompt = try #require(caches["prompt"] as? [String: Any])
    let rejected = try #require((prompt["rejected"] as? [[String: String]])?.first)
    #expect(rejected.keys.sorted() == ["field", "item_id", "problem"] && rejected["item_id"] == "bad")
    #expect(prompt["rejected_count"] as? Int == 1)
    #expect(try server.get("/nothing").status == 404)
  }

  @Test func contentsThatAreTooOldAreNotReady() throws {
    let database = try TestDatabase()
    defer { database.close() }
    let server = try HealthServer(uri: database.uri, "--max-staleness-seconds", "3")
    defer { server.end() }
    try server.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
    database.pause()
    try poll("not ready") {
      let ready = try server.get("/health/ready")
      let reasons = ready.object["reasons"] as? [[String: Any]] ?? []
      return ready.status == 503 && reasons.count == 3 && reasons.allSatisfy { $0["reason"] as? String == "stale" }
    }
    #expect(try server.get("/health/live").status == 200)
    database.resume()
    try poll("ready again") { try server.get("/health/ready").status == 200 }
  }

  @Test func aDrainingServerIsNotReadyButAnswers() throws {
    let database = try TestDatabase()
    defer { database.close() }
    let server = try HealthServer(uri: database.uri)
    defer { server.end() }
    try server.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
    // The server's caches cannot stop while they wait for the database: HTTP is served longer than they are.
    database.pause()
    server.child.send(SIGTERM)
    try poll("draining") {
      let ready = try server.get("/health/ready")
      return ready.status == 503 && ready.text.contains("{\"reason\":\"draining\"}")
    }
    #expect(try server.get("/health/live").status == 200)
    database.resume()
    #expect(try server.child.waitForExit() == .exited(0))
  }

  @Test func aPortThatIsTakenIsNamedWithItsFlag() throws {
    let uri = "mongodb://127.0.0.1:\(try freePort())/?serverSelectionTimeoutMS=200"
    let server = try HealthServer(uri: uri)
    defer { server.end() }
    let other = try ChildProcess(
      builtExecutable("config-lookup-server"),
      ["--mongodb-uri", uri, "--listen", "127.0.0.1:0", "--http-listen", "\(server.address)"])
    #expect(try other.waitForExit() == .exited(69))
    #expect(other.errorLines.count == 1)
    #expect(other.errorLines.first?.contains("--http-listen: \"\(server.address)\"") == true)
  }
}
