// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import Foundation
internal import Glibc
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The command line's executable, with a server over the documents of deploy/seed.
@Suite struct CommandLineTests {
  private static let seed = packageRoot.appendingPathComponent("deploy/seed").path

  @Test(arguments: Transport.allCases) func lookupsAsTextAndJSON(transport: Transport) throws {
    try withSeededServer(transport) { tool in
      let text = try tool("get", "agent", "disease-diagnosis")
      #expect(text.status == .exited(0))
      #expect(text.output.first?.hasPrefix("# revision ") == true)
      #expect(text.output.contains("agent_id: disease-diagnosis"))
      let agent = try one(tool("get", "agent", "disease-diagnosis", "--json"))
      let config = try #require(agent["config"] as? [String: Any])
      #expect(config["agent_id"] as? String == "disease-diagnosis")
      let metadata = try #require(agent["metadata"] as? [String: Any])
      let etag = try #require(metadata["etag"] as? String)
      let same = try one(tool("get", "agent", "disease-diagnosis", "--json", "--if-none-match", etag))
      #expect(same["config"] == nil)
      #expect((same["metadata"] as? [String: Any])?["not_modified"] as? Bool == true)

      let staged = try one(tool("get", "prompt", "disease-diagnosis", "--variant", "staged", "--json"))
      #expect((staged["prompt"] as? [String: Any])?["version"] as? String == "1.1.0")
      let tested = try one(tool("get", "prompt", "disease-diagnosis", "--subject", "farmer-1", "--json"))
      #expect(tested["test_id"] as? String == "diagnosis-two-causes")
      let byPromptID = try tool("get", "prompt", "disease-diagnosis", "--by-prompt-id")
      #expect(byPromptID.status == .exited(0) && byPromptID.output.first?.contains("variant active") == true)

      let source = try one(tool("get", "source", "--container", "quality-events", "--json"))
      #expect((source["config"] as? [String: Any])?["source_id"] as? String == "qc-field-events")
      #expect(source["other_source_ids"] as? [String] == ["qc-machine-results"])
      let byAgent = try tool("get", "source", "--ai-agent", "leaf-photo-triage")
      #expect(byAgent.output.contains("source_id: leaf-photo-archives"))
      let blob = ["resolve", "quality-events", "results/F1/WM-4521/batch-001.json"]
      #expect(
        try tool(blob).output.sorted() == [
          "batch_id: batch-001", "factory_id: F1", "farmer_id: WM-4521", "source: qc-machine-results",
        ])
      let fields = try one(tool(blob + ["--json"]))["fields"] as? [String: String]
      #expect(fields == ["batch_id": "batch-001", "factory_id": "F1", "farmer_id": "WM-4521"])
    }
  }

  @Test(arguments: Transport.allCases) func listsAndStatus(transport: Transport) throws {
    try withSeededServer(transport) { tool in
      let agents = try tool("list", "agents")
      #expect(agents.status == .exited(0) && agents.output.count == 6)
      #expect(agents.output.first?.split(separator: " ").prefix(2) == ["AGENT_ID", "VERSION"])
      #expect(agents.output.dropFirst().first?.hasPrefix("disease-diagnosis ") == true)
      // Aligned: the second column begins at one place.
      let places = agents.output.map { line in line.distance(from: line.startIndex, to: secondColumn(line)) }
      #expect(Set(places).count == 1, "\(agents.output)")
      #expect(try tool("list", "agents", "--type", "explorer").output.count == 2)
      let prompts = try tool("list", "prompts").output
      #expect(prompts.first?.split(separator: " ") == ["AGENT_ID", "VERSION", "STAGED", "PROMPT_ID"])
      #expect(prompts.contains { $0.split(separator: " ").prefix(3) == ["disease-diagnosis", "1.0.0", "1.1.0"] })
      #expect(try tool("list", "sources", "--mode", "scheduled_pull").output.count == 2)
      let page = try one(tool("list", "agents", "--page-size", "2", "--json"))
      #expect((page["summaries"] as? [Any])?.count == 2)
      #expect(page["total_count"] as? Int == 5)
      let token = try #require(page["next_page_token"] as? String)
      let second = try tool("list", "agents", "--page-size", "2", "--page-token", token)
      #expect(second.output.count == 4 && second.output.last?.hasPrefix("# more: --page-token ") == true)
      for kind in ["agents", "prompts", "sources"] {
        for line in try tool("list", kind, "--json").output { _ = try jsonObject(line) }
      }

      let bench = try one(tool("bench", "--seconds", "0.1", "--connections", "3", "--depth", "5", "--json"))
      #expect(bench["protocol"] as? String == (transport == .gRPC ? "grpc" : "framed"))
      #expect(bench["calls"] as? Int ?? 0 > 0 && bench["failed"] as? Int == 0)

      let status = try tool("status")
      #expect(status.status == .exited(0))
      for cache in ["agent_config", "prompt", "source_config"] {
        let row = status.output.first { $0.hasPrefix("\(cache) ") }?.split(separator: " ") ?? []
        #expect(row.count == 8 && row[1] == "valid" && row[4] == "active" && row[5] == "0", "\(row)")
      }
      #expect(status.output.last?.hasPrefix("epoch ") == true)
      let json = try one(tool("status", "--json"))
      #expect((json["agent_config"] as? [String: Any])?["cache_size"] as? String == "5")
      let health = try tool("health")
      #expect(health.status == .exited(0) && health.output == ["serving"])
      #expect(try one(tool("health", "--json"))["serving"] as? Bool == true)
      let reload = try tool("invalidate", "prompt")
      #expect(reload.status == .exited(0) && reload.output == ["asked 1 cache to reload"])
    }
  }

  @Test(arguments: [false, true], Transport.allCases) func watches(asJSON: Bool, transport: Transport) throws {
    try withDeployment { test in
      let server = try test.server()
      let json = (asJSON ? ["--json"] : []) + (transport == .gRPC ? ["--grpc"] : [])
      let child = try ChildProcess(
        builtExecutable("config-lookup"), ["watch", "--count", "2", "--values", "--server", "\(server.address)"] + json)
      try child.waitForLine("it has begun") { $0.contains("PROGRESS") }
      try test.agents.insert(Documents.agent("a", description: "seen"))
      try child.waitForLine("the first change") { $0.contains("agent_config:a") }
      try test.prompts.insert(Documents.prompt("p"))
      #expect(try child.waitForExit() == .exited(0))
      let lines = child.outputLines
      if asJSON {
        let notices = try lines.map(jsonObject)
        #expect(notices.map { $0["kind"] as? String }.suffix(2) == ["NOTICE_KIND_UPSERT", "NOTICE_KIND_UPSERT"])
        #expect(notices.last?["cache_key"] as? String == "prompt:p")
        #expect(notices.last?["reason"] as? String == "change_stream:insert")
        let agent = notices.first { $0["key"] as? String == "a" }?["agent_config"] as? [String: Any]
        #expect(agent?["description"] as? String == "seen")
      } else {
        #expect(lines.contains { $0.contains(" UPSERT agent_config:a revision ") && $0.hasSuffix("a:1.0.0") })
        #expect(lines.contains("description: seen"))
      }
    }
  }

  /// The server ends, and a document changes before the tool has connected to the other one.
  @Test(arguments: [false, true]) func follows(asJSON: Bool) throws {
    try withDeployment { test in
      let servers = [try test.server(), try test.server()]
      let child = try ChildProcess(
        builtExecutable("config-lookup"),
        [
          "watch", "--follow", "--prefix", "w", "--entity", "agent", "--server",
          "\(servers[0].address)",
        ]
          + ["--other-server", "\(servers[1].address)"] + (asJSON ? ["--json"] : []))
      try child.waitForLine("it has begun") { $0.contains("PROGRESS") }
      for name in ["other", "wanted"] { try test.agents.insert(Documents.agent(name)) }
      try child.waitForLine("a change") { $0.contains("agent_config:wanted") }
      servers[0].stop()
      try test.agents.insert(Documents.agent("w2"))
      // Notices from before the reconnection may be delivered once more.
      try child.waitForLine("what changed meanwhile") { $0.contains("agent_config:w2") }
      child.send(SIGTERM)
      #expect(try child.waitForExit() == .signaled(SIGTERM))
      #expect(!child.outputLines.contains { $0.contains("other") || $0.contains("RESYNC") })
      if asJSON { for line in child.outputLines { _ = try jsonObject(line) } }
      let nobody = "127.0.0.1:\(try freePort())"
      let end = try ProcessEnd("config-lookup", ["watch", "--follow", "--server", nobody, "--timeout-seconds", "0.2"])
      #expect(end.status == .exited(EX_UNAVAILABLE) && end.errors.contains(nobody), "\(end.errors)")
    }
  }

  /// With a format for programs, an error of the server is an object of that format.
  @Test(arguments: Transport.allCases) func errorsForPrograms(transport: Transport) throws {
    try withSeededServer(transport) { tool in
      let missing = try tool("get", "agent", "nobody", "--json")
      #expect(missing.status == .exited(1) && missing.output.isEmpty)
      let error = try #require(try jsonObject(missing.errors)["error"] as? [String: Any])
      #expect(error["code"] as? String == "NOT_FOUND" && error["reason"] as? String == "KEY_NOT_FOUND")
      #expect(error["domain"] as? String == "configlookup.v1" && error["retry_delay_ms"] == nil)
      #expect(error["message"] as? String == "no active agent config for agent_id \"nobody\"")
      let empty = try tool("get", "prompt", "", "--output", "yaml")
      #expect(empty.status == .exited(EX_USAGE))
      for line in ["---", "error:", "  reason: INVALID_FIELD", "  field_violations:", "description: is empty"] {
        #expect(empty.errors.contains(line), "\(empty.errors)")
      }
    }
  }

  @Test(arguments: Transport.allCases) func exitStatuses(transport: Transport) throws {
    let nobody = "127.0.0.1:\(try freePort())"
    try withSeededServer(transport) { tool in
      let missing = try tool("get", "agent", "nobody")
      #expect(missing.status == .exited(1))
      #expect(missing.errors.contains("\"nobody\"") && missing.output.isEmpty)
      #expect(try tool("get", "prompt", "weekly-advice", "--variant", "staged").status == .exited(1))
      #expect(try tool("resolve", "quality-events", "a/b/c/d").status == .exited(1))
      for (words, named) in [
        (["get"], "missing"), (["get", "weather", "x"], "get: weather"), (["get", "agent"], "AGENT_ID"),
        (["fetch"], "fetch"), (["get", "agent", "x", "--colour"], "--color?"), (["get", "agent", ""], "agent_id"),
        (["wacth"], "did you mean watch?"), (["-h"], "--help"), (["get", "agnet", "x"], "did you mean agent?"),
        (["watch", "--servr", "h:1"], "unknown flag --servr: did you mean --server?"),
        (["get", "agent", "x", "--depth", "2"], "get does not take this flag; it is a flag of bench"),
        (["seed", "x", "--grpc"], "--grpc: seed does not take this flag"),
        (["list", "agents", "--page-token", "x"], "page_token"),
        (["list", "agents", "--page-size", "0"], "--page-size"),
        (["watch", "--count", "none"], "--count"), (["watch", "--follow", "--values"], "--values"),
        (["get", "agent", "a", "b"], "b"),
      ] {
        let end = try tool(words)
        #expect(end.status == .exited(EX_USAGE), "\(words)")
        #expect(end.errors.contains(named), "\(words): \(end.errors)")
      }
      for words in [["get", "agent", "a"], ["status"], ["health"], ["watch"], ["list", "agents"]] {
        let end = try tool(words + ["--server", nobody])
        #expect(end.status == .exited(EX_UNAVAILABLE), "\(words)")
        #expect(end.errors.contains(nobody))
      }
      #expect(try tool("--help").status == .exited(0))
      #expect(try tool("--version").output.first?.hasPrefix("config-lookup ") == true)
    }
  }

  @Test func seedIsAllOrNothing() throws {
    try withDeployment { test in
      try temporaryFolder { folder in
        let good = try #require(try Documents.agent("good").json)
        let bad = try #require(try Documents.agent("bad", extra: #", "mcp_sources": [{"server": 7}]"#).json)
        try "[\(good), \(bad)]".write(
          to: folder.appendingPathComponent("agent_configs.json"), atomically: true, encoding: .utf8)
        let prompt = try #require(try Documents.prompt("p").json)
        try "[\(prompt)]".write(to: folder.appendingPathComponent("prompts.json"), atomically: true, encoding: .utf8)
        let end = try ProcessEnd("config-lookup", ["seed", folder.path] + test.seedArguments)
        #expect(end.status == .exited(EX_DATAERR))
        for part in ["agent_configs.json", "document 1", "mcp_sources.0.server", "nothing was written"] {
          #expect(end.errors.contains(part), "\(end.errors)")
        }
        #expect(!end.errors.contains("document 0"))
        let client = try test.server().client()
        #expect(try client.listAgents().total == 0)
        #expect(try client.listPrompts().total == 0)

        try "[\(good)]".write(
          to: folder.appendingPathComponent("agent_configs.json"), atomically: true, encoding: .utf8)
        #expect(try ProcessEnd("config-lookup", ["seed", folder.path] + test.seedArguments).status == .exited(0))
        try poll("both are served") { try client.listAgents().total == 1 && client.listPrompts().total == 1 }

        try "[{]".write(to: folder.appendingPathComponent("prompts.json"), atomically: true, encoding: .utf8)
        let broken = try ProcessEnd("config-lookup", ["seed", folder.path] + test.seedArguments)
        #expect(broken.status == .exited(EX_DATAERR) && broken.errors.contains("prompts.json"))
      }
      try temporaryFolder { folder in
        let empty = try ProcessEnd("config-lookup", ["seed", folder.path] + test.seedArguments)
        #expect(empty.status == .exited(EX_NOINPUT))
      }
      let nobody = "mongodb://user:s3cret@127.0.0.1:\(try freePort())/?serverSelectionTimeoutMS=200"
      let gone = try ProcessEnd("config-lookup", ["seed", Self.seed, "--mongodb-uri", nobody])
      #expect(gone.status == .exited(EX_UNAVAILABLE))
      #expect(gone.errors.contains("--mongodb-uri") && !gone.errors.contains("s3cret"))
    }
  }

  /// Each of these files starts with a valid document, which must not be written.
  @Test func seedChecksAllThatTheDatabaseRefuses() throws {
    try withDeployment { test in
      let good = try #require(try Documents.agent("good").json)
      func agent(_ extra: String) throws -> String {
        try #require(try Documents.agent("bad", extra: ", " + extra).json)
      }
      let large = String(repeating: "x", count: 17 * 1024 * 1024)
      let bad = good.replacingOccurrences(of: "\"good", with: "\"bad")
      for (document, words) in [
        (bad.replacingOccurrences(of: "{", with: #"{"$schema": 1, "#, options: .anchored), "document 1: $schema: "),
        (
          bad.replacingOccurrences(of: "{", with: #"{"": 1, "#, options: .anchored),
          "document 1: holds a field whose name is empty"
        ),
        (
          bad.replacingOccurrences(of: "{", with: #"{"a": {"b": [{"": 1}]}, "#, options: .anchored),
          "document 1: a.b.0: holds a field"
        ),
        (
          bad.replacingOccurrences(of: "{", with: #"{"a\u0000b": 1, "#, options: .anchored),
          "document 1: a field's name contains a NUL"
        ),
        (
          bad.replacingOccurrences(of: "{", with: "{\"large\": \"\(large)\", ", options: .anchored),
          "document 1: is 178"
        ),
        (bad.replacingOccurrences(of: #""_id" :"#, with: #""_id": [1], "x" :"#), "document 1: _id: is an array"),
        (good, "document 1: _id: is the same as that of document 0"), ("7", "document 1: is not an object"),
        (#"{"$oid": 5}"#, "document 1: "), ("{]", "is not JSON: "),
      ] {
        let end = try seed(test, ["agent_configs.json": Data("[\(good),\n\(document)]".utf8)])
        #expect(end.status == .exited(EX_DATAERR), "\(words): \(end.errors.prefix(300))")
        #expect(
          end.errors.contains("agent_configs.json: ") && end.errors.contains(words),
          "\(words): \(end.errors.prefix(300))")
      }
      for (text, words) in [
        (Data(good.utf8), "prompts.json: is not an array; write the documents between [ and ]"),
        (Data("\(good)\n\(good)".utf8), "prompts.json: is not JSON: "), (Data("[1]], 2: [".utf8), "is not JSON: "),
        (Data("[\n\"".utf8 + [0xff] + Array("\"]".utf8)), "prompts.json: is not UTF-8"),
        (Data(), "is not JSON: "),
      ] {
        let end = try seed(test, ["agent_configs.json": Data("[\(good)]".utf8), "prompts.json": text])
        #expect(end.status == .exited(EX_DATAERR) && end.errors.contains(words), "\(words): \(end.errors)")
      }
      #expect(try test.server().client().listAgents().total == 0)
      let bytes = Data(
        [0xef, 0xbb, 0xbf] + Array("\r\n[\(good), \(try agent(#""note": "a, [b] {\"c\"}""#))]\r\n".utf8))
      let end = try seed(test, ["agent_configs.json": bytes])
      #expect(end.output.first == "loaded 2 documents into \(test.name).agents", "\(end.errors)")
    }
  }

  /// Errors that only the database can detect: either nothing is written, or the message names the documents that are.
  @Test func aSeedThatTheDatabaseRefuses() throws {
    try withDeployment { test in
      let client = try test.server().client()
      let unique = #"{"createIndexes": "prompts", "indexes": [{"key": {"v": 1}, "name": "v", "unique": true}]}"#
      let pool = try MongoClientPool(uri: test.uri)
      _ = try pool.command(try BSONDocument(json: unique), database: test.name)
      let files = [
        "agent_configs.json": Data("[\(try #require(try Documents.agent("a").json))]".utf8),
        "prompts.json": Data(
          "[\(try ["p", "q"].map { try #require(try Documents.prompt($0).json) }.joined(separator: ","))]".utf8),
      ]
      let end = try seed(test, files)
      #expect(end.status == .exited(EX_DATAERR), "\(end)")
      let whole = ["prompts.json: document 1: the database refuses it", "11000", "nothing was written"]
      for part in whole { #expect(end.errors.contains(part), "\(end.errors)") }
      #expect(try client.listAgents().total == 0)
      // A server without transactions replies with this error.
      let refuse =
        #"{"configureFailPoint": "failCommand", "mode": {"times": 1}, "#
        + #""data": {"failCommands": ["update"], "errorCode": 20}}"#
      _ = try pool.command(try BSONDocument(json: refuse), database: "admin")
      let half = try seed(test, files)
      #expect(half.status == .exited(EX_DATAERR), "\(half)")
      for part in [
        "prompts.json: document 1", "1 of 1 documents of agent_configs.json, 1 of 2 documents of prompts.json",
      ] {
        #expect(half.errors.contains(part), "\(half.errors)")
      }
      try poll("what was written is served") { try client.listAgents().total == 1 && client.listPrompts().total == 1 }
    }
  }

  private func seed(_ test: Deployment, _ files: [String: Data]) throws -> ProcessEnd {
    try temporaryFolder { folder in
      for (name, text) in files { try text.write(to: folder.appendingPathComponent(name)) }
      return try ProcessEnd("config-lookup", ["seed", folder.path] + test.seedArguments)
    }
  }

  /// The documents of a real deployment, if they are in a folder beside the package.
  @Test func theElevenDocumentsAreServed() throws {
    let folder = packageRoot.deletingLastPathComponent().appendingPathComponent("shared/data")
    guard FileManager.default.fileExists(atPath: folder.path) else {
      print("skipped: there is no ../shared/data beside the package")
      return
    }
    try withDeployment { test in
      let end = try ProcessEnd("config-lookup", ["seed", folder.path] + test.seedArguments)
      #expect(end.status == .exited(0), "\(end.errors)")
      let server = try test.server()
      let client = try server.client()
      var served = 0
      for key in try client.listAgents(100).keys where try client.agent(key).hasValue { served += 1 }
      for key in try client.listPrompts(100).keys where try client.prompt(.agentID(key)).hasValue { served += 1 }
      for key in try client.listSources(100).keys where try client.source(.sourceID(key)).hasValue { served += 1 }
      #expect(served == 11)
      let status = try client.status()
      for cache in [status.agents, status.prompts, status.sources] { #expect(cache.rejectedCount == 0) }
      #expect(server.log.lines(event: "document_rejected").isEmpty)
    }
  }
}

/// Where the second column of a table's line begins.
private func secondColumn(_ line: String) -> String.Index {
  line.firstRange(of: #/ {2,}/#)?.upperBound ?? line.endIndex
}

/// Runs `config-lookup` with arguments, for one server.
struct Tool {
  let server: String
  let transport: Transport

  func callAsFunction(_ words: String...) throws -> ProcessEnd { try self(words) }

  func callAsFunction(_ words: [String]) throws -> ProcessEnd {
    try ProcessEnd(
      "config-lookup", words,
      environment: ["CONFIG_LOOKUP_SERVER": server, "CONFIG_LOOKUP_GRPC": "\(transport == .gRPC)"])
  }
}

/// Runs a server over the documents of deploy/seed.
func withSeededServer(_ transport: Transport, _ body: (Tool) throws -> Void) throws {
  try withDeployment { test in
    let folder = packageRoot.appendingPathComponent("deploy/seed").path
    for _ in 0..<2 {
      let end = try ProcessEnd("config-lookup", ["seed", folder] + test.seedArguments)
      #expect(end.status == .exited(0), "\(end.errors)")
      #expect(end.output.count == 3)
    }
    try body(Tool(server: "\(try test.server().address)", transport: transport))
  }
}

/// The only line of a command's output, parsed as JSON.
private func one(_ end: ProcessEnd) throws -> [String: Any] {
  try #require(end.status == .exited(0), "\(end.errors)")
  try #require(end.output.count == 1)
  return try jsonObject(end.output[0])
}

extension Deployment {
  /// The arguments of `config-lookup seed` for this deployment.
  fileprivate var seedArguments: [String] {
    [
      "--mongodb-uri", uri, "--agent-configs", "\(name).agents", "--prompts", "\(name).prompts", "--source-configs",
      "\(name).sources",
    ]
  }
}
