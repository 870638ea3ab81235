internal import Foundation
internal import FoundationNetworking
internal import FramedTransport
internal import Glibc
internal import Network
internal import TestSupport
internal import Testing

/// Health over HTTP, of the whole server as a process.
@Suite struct HealthTests {
  @Test func aServerWithoutADatabaseLivesAndIsNotReady() async throws {
    let server = try HealthServer(uri: "mongodb://127.0.0.1:\(freePort())/?serverSelectionTimeoutMS=200")
    defer { server.end() }
    let live = try await server.get("/health/live")
    #expect(live.status == 200 && live.text == "{\"status\":\"live\"}\n")
    try await eventually("it says why") {
      let ready = try await server.get("/health/ready")
      #expect(ready.status == 503)
      let reasons = try #require(ready.object["reasons"] as? [[String: Any]])
      #expect(reasons.map { $0["cache"] as? String } == ["agent_config", "prompt", "source_config"])
      #expect(reasons.allSatisfy { $0["reason"] as? String == "not_loaded" })
      return reasons.allSatisfy { $0["source_error"] is String }
    }
    let prompt = try #require(try await server.get("/health/cache").object["prompt"] as? [String: Any])
    #expect(prompt["cache_age_seconds"] is NSNull && prompt["loaded_at"] is NSNull)
    #expect(prompt["cache_valid"] as? Bool == false && prompt["source_error"] is String)
  }

  @Test func aWarmServerTellsAllOfItsCaches() async throws {
    let database = try TestDatabase()
    defer { database.close() }
    try database.python("client.ai_model.prompts.insert_one({'_id': 'bad', 'status': 'active'})")
    let server = try HealthServer(uri: database.uri)
    defer { server.end() }
    let line = try server.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
    #expect(line.contains("\"http_listen\":\"\(server.address)\""))
    let ready = try await server.get("/health/ready")
    #expect(ready.status == 200 && ready.text == "{\"status\":\"ready\"}\n")

    let caches = try await server.get("/health/cache").object
    #expect(caches.keys.sorted() == ["agent_config", "prompt", "source_config"])
    for cache in caches.values {
      let cache = try #require(cache as? [String: Any])
      #expect(
        cache.keys.sorted() == [
          "cache_age_seconds", "cache_size", "cache_valid", "change_stream_active", "drift", "last_change_at",
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
    #expect(try await server.get("/nothing").status == 404)
  }

  @Test func contentsThatAreTooOldAreNotReady() async throws {
    let database = try TestDatabase()
    defer { database.close() }
    let server = try HealthServer(uri: database.uri, "--max-staleness-seconds", "3")
    defer { server.end() }
    try server.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
    database.pause()
    try await eventually("not ready") {
      let ready = try await server.get("/health/ready")
      let reasons = ready.object["reasons"] as? [[String: Any]] ?? []
      return ready.status == 503 && reasons.count == 3 && reasons.allSatisfy { $0["reason"] as? String == "stale" }
    }
    #expect(try await server.get("/health/live").status == 200)
    database.resume()
    try await eventually("ready again") { try await server.get("/health/ready").status == 200 }
  }

  @Test func aDrainingServerIsNotReadyButAnswers() async throws {
    let database = try TestDatabase()
    defer { database.close() }
    let server = try HealthServer(uri: database.uri)
    defer { server.end() }
    try server.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
    // Does not close by itself: the drain waits a second for it.
    let client = try FramedClient(server.listen)
    defer { client.close() }
    server.child.send(SIGTERM)
    try await eventually("draining") {
      let ready = try await server.get("/health/ready")
      return ready.status == 503 && ready.text.contains("{\"reason\":\"draining\"}")
    }
    #expect(try await server.get("/health/live").status == 200)
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

private struct HealthServer {
  struct Reply {
    let status: Int
    let text: String
    let object: [String: Any]
  }

  let child: ChildProcess
  let listen: HostAndPort
  let address: HostAndPort

  /// Starts the server and waits until it listens.
  init(uri: String, _ flags: String...) throws {
    child = try ChildProcess(
      builtExecutable("config-lookup-server"),
      ["--mongodb-uri", uri, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"] + flags)
    let line = try child.waitForLine("listening") { $0.contains("\"event\":\"listening\"") }
    let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    listen = try HostAndPort(#require(fields?["listen"] as? String))
    address = try HostAndPort(#require(fields?["http_listen"] as? String))
  }

  func get(_ path: String) async throws -> Reply {
    let url = try #require(URL(string: "http://\(address)\(path)"))
    let (data, response) = try await URLSession.shared.data(from: url)
    let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
    return Reply(
      status: try #require(response as? HTTPURLResponse).statusCode, text: String(decoding: data, as: UTF8.self),
      object: object ?? [:])
  }

  /// At once, whatever it is doing.
  func end() {
    child.send(SIGKILL)
    _ = try? child.waitForExit()
  }
}

private func eventually(_ what: Comment, _ holds: () async throws -> Bool) async throws {
  let deadline = Date(timeIntervalSinceNow: 20)
  while Date() < deadline {
    if try await holds() { return }
    try await Task.sleep(for: .milliseconds(20))
  }
  Issue.record(what)
}
