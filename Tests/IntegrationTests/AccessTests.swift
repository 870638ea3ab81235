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

/// Credentials and permissions over the framed protocol, HTTP and the command line. Those of gRPC are in
/// `InteropTests`.
@Suite struct AccessTests {
  @Test func rightsOfEveryMethod() throws {
    try withCredentials(["agents": "read:agent_config watch", "all": "read watch admin", "ops": "admin"]) { test in
      try test.deployment.agents.insert(Documents.agent("a"))
      let server = try test.server()
      // A caller without a token, and one with a wrong token.
      let stranger = try TestClient(server.address)
      #expect(try stranger.agent("a").code == .unauthenticated)
      #expect(try stranger.listAgents().status.code == .unauthenticated)
      #expect(throws: RPCStatus.self) { try stranger.status() }
      #expect(try stranger.invalidate().status.code == .unauthenticated)
      #expect(try Watch(server.address).end().status.code == .unauthenticated)
      let wrong = #expect(throws: RPCStatus.self) { try test.connect(server, token: "nobody") }
      #expect(wrong?.code == .unauthenticated && wrong?.message.contains("token") == true)

      let agents = try TestClient(test.connect(server, "agents"))
      #expect(try agents.agent("a").status == .ok)
      #expect(try agents.listAgents().keys == ["a"])
      for status in try [
        agents.prompt(.agentID("a")).status, agents.listPrompts().status, agents.source(.sourceID("s")).status,
        agents.resolve("c", "p").status, agents.listSources().status, agents.invalidate().status,
        Watch(test.connect(server, "agents"), .init(entities: [1, 2])).end().status,
      ] {
        #expect(status.code == .permissionDenied && status.message.contains("lacks the permission"), "\(status)")
        #expect(status.message.contains("\"agents\""), "it says whom it took the caller for")
      }
      #expect(try agents.status().agents.size == 1)
      #expect(try agents.status().prompts.observedRevision == 0, "nothing of what is not for its eyes")

      let all = try TestClient(test.connect(server, "all"))
      #expect(try all.prompt(.agentID("a")).code == .notFound && all.invalidate(2).entities == [2])
      let ops = try TestClient(test.connect(server, "ops"))
      #expect(try ops.invalidate().entities == [1, 2, 3] && ops.status().prompts.observedRevision > 0)
      #expect(try ops.agent("a").code == .permissionDenied)
      #expect(try Watch(test.connect(server, "ops")).end().status.code == .permissionDenied)

      // A token in the metadata of a call takes precedence over that of the connection.
      var metadata = RPCMetadata()
      metadata.append("authorization", "Bearer \(test.token("all"))")
      #expect(try agents.rpc.call("ListPrompts", metadata: metadata).status == .ok)
      #expect(try agents.listPrompts().status.code == .permissionDenied)

      // Two tokens at once are rejected, and a `Hello` that fails leaves no identity on the connection.
      var two = RPCMetadata()
      for name in ["all", "agents"] { two.append("authorization", "Bearer \(test.token(name))") }
      #expect(try all.rpc.call("ListPrompts", metadata: two).status.code == .unauthenticated)
      #expect(try all.listPrompts().status == .ok)
      #expect(try all.rpc.call("Hello", metadata: two).status.code == .unauthenticated)
      #expect(try all.listPrompts().status.code == .unauthenticated)

      let lines = server.log.lines(event: "call_refused")
      #expect(lines.contains { $0.contains("\"credential\":\"agents\"") && $0.contains("read:prompt") })
      #expect(!server.log.lines.contains { line in test.tokens.values.contains { line.contains($0) } })
      let metrics = try askHTTP(server.server.httpAddress, "GET /metrics HTTP/1.0")
      #expect(metrics.text.contains("calls_refused_total{reason=\"no_credential\"} 5"), "\(metrics.text)")
      #expect(metrics.text.contains("calls_refused_total{reason=\"unknown_token\"} 1"))
    }
  }

  @Test func noticesAreFilteredByTheRightsOfLookups() throws {
    try withCredentials(["agents": "read:agent_config watch", "all": "read watch"]) { test in
      let server = try test.server()
      let every = Watch.Request(sendsInitialState: true)
      let watches = try ["agents", "all"].map { try Watch(test.connect(server, $0), every) }
      for watch in watches { #expect(try watch.next().kind == .progress) }
      try test.deployment.prompts.insert(Documents.prompt("p"))
      try test.deployment.agents.insert(Documents.agent("a"))
      #expect(try watches[0].nextChange().key == "a")
      #expect(try watches[1].nextChanges(3).map(\.key).sorted() == ["a", "p", "p-prompt"])
    }
  }

  @Test func aCredentialIsTakenBackWhileAWatchIsOpen() throws {
    try withCredentials(["old": "read watch", "less": "read watch", "stays": "read watch"]) { test in
      let server = try test.server()
      let watches = try ["old", "less", "stays"].map { name in
        let watch = try Watch(test.connect(server, name))
        #expect(try watch.next().kind == .progress)
        return watch
      }
      // An invalid file changes nothing.
      try test.write("stays sha256:nonsense read")
      try poll("the mistake is named") {
        server.log.lines(event: "files_not_reloaded").contains { $0.contains(":1: sha256") && $0.contains("in force") }
      }
      // Neither does a path that is not a regular file. Regression test: the thread that reads files waited for a
      // writer of the FIFO for ever.
      try FileManager.default.removeItem(atPath: test.file)
      #expect(mkfifo(test.file, 0o600) == 0)
      try poll("the FIFO is named") { server.log.lines(event: "files_not_reloaded").contains { $0.contains("FIFO") } }
      try test.deployment.agents.insert(Documents.agent("a"))
      for watch in watches { #expect(try watch.nextChange().key == "a") }

      try test.write(["less": "read:prompt watch", "stays": "read watch"])
      #expect(try watches[0].end().status.code == .unauthenticated)
      let less = try watches[1].end().status
      #expect(less.code == .permissionDenied && less.message.contains("read:agent_config"))
      try test.deployment.agents.insert(Documents.agent("b"))
      #expect(try watches[2].nextChange().key == "b")
      // The connections stay open, and their calls are rejected.
      #expect(try TestClient(watches[0].rpc).agent("a").code == .unauthenticated)
      #expect(try TestClient(watches[1].rpc).agent("a").code == .permissionDenied)
      #expect(throws: RPCStatus.self) { try test.connect(server, "old") }
    }
  }

  @Test(arguments: [[], ["--grpc"]]) func theCommandLineAndHTTP(flags: [String]) throws {
    try withCredentials(["reader": "read", "ops": "admin"]) { test in
      try test.deployment.agents.insert(Documents.agent("a"))
      let server = try ServerProcess(test.deployment.arguments + ["--credentials", test.file])
      let address = try server.address()
      func tool(_ arguments: [String], _ environment: [String: String] = [:]) throws -> ProcessEnd {
        try ProcessEnd("config-lookup", flags + arguments + ["--server", "\(address)"], environment: environment)
      }
      let get = ["get", "agent", "a"]
      let nobody = try tool(get)
      #expect(nobody.status == .exited(EX_NOPERM) && nobody.errors.contains("authorization: is missing"))
      #expect(try tool(["health"]).status == .exited(0), "health is for everybody")
      #expect(try tool(get, ["CONFIG_LOOKUP_TOKEN": test.token("reader")]).status == .exited(0))
      let tokenFile = test.folder.appendingPathComponent("token").path
      try "\(test.token("reader"))\n".write(toFile: tokenFile, atomically: true, encoding: .utf8)
      #expect(try tool(get + ["--token-file", tokenFile], ["CONFIG_LOOKUP_TOKEN": "other"]).status == .exited(0))
      #expect(try tool(["status", "--token-file", tokenFile]).status == .exited(0))
      let denied = try tool(["invalidate", "--token-file", tokenFile])
      #expect(denied.status == .exited(EX_NOPERM) && denied.errors.contains("admin"))
      #expect(try tool(get + ["--token-file", "/nonexistent"]).status == .exited(EX_USAGE))
      #expect(try tool(["invalidate"], ["CONFIG_LOOKUP_TOKEN": test.token("ops")]).status == .exited(0))

      let line = try server.child.waitForLine("ready") { $0.contains("\"event\":\"ready\"") }
      let http = try HostAndPort(#require(jsonObject(line)["http_listen"] as? String))
      func post(_ query: String, _ token: String?) throws -> HTTPAnswer {
        let header = token.map { "\r\nAuthorization: Bearer \($0)" } ?? ""
        return try askHTTP(http, "POST /admin/cache/invalidate\(query) HTTP/1.0\r\nContent-Length: 0\(header)")
      }
      #expect(try post("", nil).status == 401 && post("", "nobody").status == 401)
      #expect(try post("", test.token("reader")).status == 403)
      let all = try post("", test.token("ops"))
      #expect(all.status == 200 && all.text.hasPrefix("{\"entities\":[\"agent_config\",\"prompt\",\"source_config\"],"))
      let prompt = try post("?entity=prompt", test.token("ops")).text
      #expect(prompt.hasPrefix("{\"entities\":[\"prompt\"],\"starts_after_ms\":"))
      let wait = prompt.firstMatch(of: /starts_after_ms":(\d+)}/).flatMap { Int($0.1) }
      #expect(wait.map { (0...5000).contains($0) } == true, "\(prompt)")
      let wrong = try post("?entity=x", test.token("ops"))
      #expect(wrong.status == 400 && wrong.text.contains("agent_config"))
      for path in ["/health/live", "/health/ready", "/health/cache", "/metrics"] {
        #expect(try askHTTP(http, "GET \(path) HTTP/1.0").status == 200, "\(path) is for everybody")
      }
      #expect(try server.child.stop() == .exited(0))
      // One reload by the command line, and two by HTTP.
      let asked = server.child.errorLines.filter { $0.contains("\"event\":\"cache_invalidated\"") }
      #expect(asked.count == 3 && asked.allSatisfy { $0.contains("\"credential\":\"ops\"") }, "\(asked)")
      #expect(asked.last?.contains("\"caches\":\"prompt\"") == true)
      #expect(!server.child.errorLines.contains { line in test.tokens.values.contains { line.contains($0) } })
    }
  }

  @Test func certificatesAreCredentials() throws {
    try withFiles { files in
      try withCredentials([:], "worker certificate:cn:worker read:agent_config\nops certificate:dns:ops.example admin")
      {
        test in
        let server = try test.server {
          ($0.tlsCertificate, $0.tlsKey) = (files.pair.certificate, files.pair.key)
          $0.tlsClientCA = files.authority.certificate
        }
        func client(_ name: String, _ alternatives: [String] = []) throws -> TestClient {
          let pair = try files.authority.issue(name, alternatives)
          let identity = TLSFiles(certificate: pair.certificate, key: pair.key)
          return TestClient(
            try FramedClient(
              server.address, tls: TLSContext(clientTrusting: files.authority.certificate, identity: identity)))
        }
        let worker = try client("worker")
        #expect(try worker.agent("a").code == .notFound && worker.prompt(.agentID("a")).code == .permissionDenied)
        // The common name and the alternative names contradict each other.
        let contradicted = try client("worker", ["DNS:other.example"])
        #expect(try contradicted.agent("a").code == .unauthenticated)
        // Regression test: after a `Hello` with a wrong token, the certificate authenticated the caller.
        var metadata = RPCMetadata()
        metadata.append("authorization", "Bearer nobody")
        #expect(try worker.rpc.call("Hello", metadata: metadata).status.code == .unauthenticated)
        #expect(try worker.agent("a").code == .unauthenticated)
        #expect(try client("x", ["DNS:ops.example"]).invalidate().status == .ok)
        let other = try client("other").agent("a").status
        #expect(other.code == .unauthenticated && other.message.contains("certificate"))
      }
    }
  }

  @Test func mistakesAtTheStart() throws {
    try withCredentials(["a": "read"]) { test in
      for (arguments, words) in [
        (["--credentials", "/nonexistent"], ["--credentials", "/nonexistent", "No such file"]),
        (["--credentials", test.file, "--listen", "0.0.0.0:0"], ["--listen", "no TLS"]),
        (["--listen", "0.0.0.0:0"], ["--listen", "no TLS", "no credentials (--credentials"]),
      ] as [([String], [String])] {
        for action in [[], ["--check-config"]] {
          let end = try ProcessEnd("config-lookup-server", arguments + action)
          #expect(end.status == .exited(EX_USAGE), "\(arguments)")
          for word in words { #expect(end.errors.contains(word), "\(arguments): \(end.errors)") }
        }
      }
      try test.write("a sha256:1 read")
      let end = try ProcessEnd("config-lookup-server", ["--credentials", test.file])
      #expect(end.status == .exited(EX_USAGE) && end.errors.contains("\(test.file):1: sha256"))
    }
  }
}

/// A deployment with credentials, each with a token of its own.
final class AccessDeployment {
  let deployment: Deployment
  let folder: URL
  private(set) var tokens: [String: String] = [:]
  private let more: String

  init(_ deployment: Deployment, _ folder: URL, _ permissions: [String: String], _ more: String) throws {
    self.deployment = deployment
    self.folder = folder
    self.more = more
    try write(permissions)
  }

  var file: String { folder.appendingPathComponent("credentials").path }

  func token(_ name: String) -> String { tokens[name] ?? "" }

  /// Replaces the file: one credential with its permissions for each name.
  func write(_ permissions: [String: String]) throws {
    var lines = ["# made by a test", more]
    for (name, words) in permissions.sorted(by: { $0.key < $1.key }) {
      let token = tokens[name] ?? "\(name)-\(UUID().uuidString)"
      tokens[name] = token
      lines.append("\(name) sha256:\(TokenDigest(of: token.utf8).hexadecimal) \(words)")
    }
    try write(lines.joined(separator: "\n"))
  }

  func write(_ text: String) throws {
    try text.write(toFile: file, atomically: true, encoding: .utf8)
  }

  func server(_ configure: (inout ServerConfiguration) -> Void = { _ in }) throws -> RunningServer {
    try deployment.server {
      $0.credentialsFile = file
      $0.fileCheckInterval = .milliseconds(20)
      configure(&$0)
    }
  }

  /// Connects with the token of a credential. Throws the server's status for that token.
  func connect(_ server: RunningServer, _ name: String) throws -> FramedClient {
    try connect(server, token: token(name))
  }

  func connect(_ server: RunningServer, token: String) throws -> FramedClient {
    let client = try FramedClient(server.address)
    var metadata = RPCMetadata()
    metadata.append("authorization", "Bearer \(token)")
    let reply = try client.call("Hello", metadata: metadata)
    guard reply.status == .ok else { throw reply.status }
    return client
  }
}

func withCredentials(
  _ permissions: [String: String], _ more: String = "", _ body: (AccessDeployment) throws -> Void
) throws {
  try temporaryFolder { folder throws in
    try withDeployment { try body(AccessDeployment($0, folder, permissions, more)) }
  }
}
