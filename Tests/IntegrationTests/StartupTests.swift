// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupServer
internal import Foundation
internal import FramedTransport
internal import Glibc
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The server's executable: its start, its messages if it cannot start, and its end.
@Suite struct StartupTests {
  private static let name = "config-lookup-server"

  @Test(arguments: [
    (["--no-such-flag"], ["--no-such-flag", "--help"]),
    (["--ttl"], ["--ttl-seconds"]),
    (["--mongodb-uri", "http://127.0.0.1"], ["--mongodb-uri", "MongoDB URI"]),
    (["--mongodb-uri", "mongodb://u:s3cret@h:notaport"], ["--mongodb-uri"]),
    (["--mongodb-uri"], ["--mongodb-uri", "needs a value"]),
    (["--listen", "nowhere"], ["--listen", "HOST:PORT"]),
    (["--http-listen", "127.0.0.1:99999"], ["--http-listen"]),
    (["--agent-configs", "nodot"], ["--agent-configs", "DATABASE.COLLECTION"]),
    (["--threads", "0"], ["--threads"]),
    (["--ttl-seconds", "soon"], ["--ttl-seconds"]),
    (["--log-format", "xml"], ["--log-format", "json"]),
    (["--listen", "0.0.0.0:0"], ["--listen", "--allow-insecure"]),
    (["--http-listen", "0.0.0.0:0"], ["--http-listen", "--allow-insecure"]),
    (["serve"], ["serve", "--help"]),
  ]) func mistakesOnTheCommandLine(arguments: [String], words: [String]) throws {
    let end = try ProcessEnd(Self.name, arguments)
    #expect(end.status == .exited(EX_USAGE))
    for word in words { #expect(end.errors.contains(word), "\(end.errors)") }
    #expect(!end.errors.contains("s3cret"))
    #expect(end.output.isEmpty)
  }

  @Test func mistakesInTheEnvironment() throws {
    let end = try ProcessEnd(Self.name, [], environment: ["CONFIG_LOOKUP_TTL_SECONDS": "never"])
    #expect(end.status == .exited(EX_USAGE))
    #expect(end.errors.contains("CONFIG_LOOKUP_TTL_SECONDS"))
    let won = try ProcessEnd(
      Self.name, ["--ttl-seconds", "7", "--check-config"], environment: ["CONFIG_LOOKUP_TTL_SECONDS": "8"])
    #expect(won.status == .exited(0))
    #expect(won.output.contains { $0.contains("7") && $0.contains("TTL") }, "a flag wins")
  }

  @Test func helpVersionAndCheckConfig() throws {
    let help = try ProcessEnd(Self.name, ["--help"])
    #expect(help.status == .exited(0))
    let text = help.output.joined(separator: "\n")
    for flag in [
      "--mongodb-uri", "--listen", "--http-listen", "--agent-configs", "--prompts", "--source-configs", "--threads",
      "--ttl-seconds", "--max-staleness-seconds", "--drain-seconds", "--max-connection-age-seconds",
      "--allow-insecure", "--log-format", "--check-config", "CONFIG_LOOKUP_MONGODB_URI", "127.0.0.1:50061",
      "127.0.0.1:9464",
    ] {
      #expect(text.contains(flag), "\(flag)")
    }
    let version = try ProcessEnd(Self.name, ["--version"])
    #expect(version.status == .exited(0))
    #expect(version.output.count == 1 && version.output[0].hasPrefix("config-lookup-server "))
    let check = try ProcessEnd(
      Self.name,
      ["--check-config", "--mongodb-uri", "mongodb://someone:s3cret@db.example:27018/", "--prompts", "x.y"])
    #expect(check.status == .exited(0))
    let summary = check.output.joined(separator: "\n")
    #expect(summary.contains("db.example:27018") && summary.contains("x.y") && summary.contains("127.0.0.1:50061"))
    #expect(!summary.contains("s3cret") && !check.errors.contains("s3cret"))
  }

  @Test func aPortThatIsTaken() throws {
    try withDeployment { test in
      let first = try ServerProcess(test.arguments)
      let address = try first.address()
      let end = try ProcessEnd(Self.name, test.arguments + ["--listen", "\(address)"])
      #expect(end.status == .exited(EX_UNAVAILABLE))
      #expect(end.errors.contains("--listen") && end.errors.contains("\(address.port)"), "\(end.errors)")
      #expect(try first.client().status().agents.isValid, "the first one notices nothing")
    }
  }

  @Test func aStandaloneDatabaseIsExplained() throws {
    try withTestDatabase("--standalone") { database in
      let server = try ServerProcess([
        "--mongodb-uri", database.uri, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
      ])
      let line = try server.child.waitForLine("what is wrong") { $0.contains("stream_not_opened") }
      let fields = try jsonObject(line)
      #expect((fields["message"] as? String)?.contains("standalone") == true)
      #expect((fields["advice"] as? String)?.contains("rs.initiate()") == true)
      #expect(fields["level"] as? String == "error")
      let listening = try jsonObject(server.child.waitForLine("it listens") { $0.contains("\"listening\"") })
      #expect((listening["listen"] as? String)?.hasPrefix("127.0.0.1:") == true)
      #expect(server.child.isRunning, "somebody may mend the database")
      #expect(try server.child.stop() == .exited(0))
    }
  }

  @Test func wrongCredentialsAndMissingPrivileges() throws {
    let folder = try ProcessFolder()
    let open = try AuthDatabase(folder, isLocked: false)
    try open.run(
      """
      client.admin.command('createUser', 'reader', pwd='rightpw', roles=[{'role': 'read', 'db': 'app'}])
      client.admin.command('createUser', 'stranger', pwd='otherpw', roles=[{'role': 'read', 'db': 'elsewhere'}])
      """)
    try open.stop()
    let locked = try AuthDatabase(folder, isLocked: true)
    defer { try? locked.stop() }
    func start(_ user: String, _ password: String) throws -> ServerProcess {
      try ServerProcess([
        "--mongodb-uri", "mongodb://\(user):\(password)@127.0.0.1:\(locked.port)/?authSource=admin", "--listen",
        "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--agent-configs", "app.a", "--prompts", "app.p",
        "--source-configs", "app.s",
      ])
    }
    for (user, password, advice) in [
      ("reader", "wr0ngpw", "check the user name"), ("nobody", "wr0ngpw", "check the user name"),
      ("stranger", "otherpw", "grant the user"),
    ] {
      let server = try start(user, password)
      let line = try server.child.waitForLine("advice for \(user)") {
        ($0.contains("stream_not_opened") || $0.contains("read_failed")) && $0.contains(advice)
      }
      #expect(try jsonObject(line)["level"] as? String == "error")
      #expect(server.child.isRunning)
      #expect(!server.child.errorLines.contains { $0.contains(password) }, "a password is never logged")
      #expect(try server.child.stop() == .exited(0))
    }
    let good = try start("reader", "rightpw")
    _ = try good.address()
    #expect(!good.child.errorLines.contains { $0.contains("rightpw") })
    #expect(try good.child.stop() == .exited(0))
  }

  @Test(arguments: [SIGTERM, SIGINT]) func aSignalDrains(signal: Int32) throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let server = try ServerProcess(test.arguments)
      let address = try server.address()
      let client = try TestClient(address)
      #expect(try client.agent("a").status == .ok)
      let watch = try Watch(address)
      #expect(try watch.next().kind == .progress)
      server.child.send(signal)
      let (notices, status) = try watch.end()
      #expect(status == .ok)
      let last = try #require(notices.last)
      #expect(last.kind == .progress && last.reason == "draining")
      #expect(last.revision > 0)
      #expect(try server.child.waitForExit() == .exited(0))
      #expect(watch.rpc.goAwayReason == "draining")
      let refused = #expect(throws: (any Error).self) { try client.agent("a") }
      #expect("\(refused.map { "\($0)" } ?? "")".contains("closes the connection"))
      for event in ["listening", "ready", "draining", "stopped"] {
        #expect(server.child.errorLines.contains { $0.contains("\"event\":\"\(event)\"") }, "\(event)")
      }
      for line in server.child.errorLines { _ = try jsonObject(line) }
    }
  }

  /// A database that does not reply delays nothing.
  @Test func endsInTimeWhileTheDatabaseHangs() throws {
    try withTestDatabase { database in
      try withDeployment(database) { test in
        let server = try ServerProcess(test.arguments + ["--drain-seconds", "1"])
        let watch = try Watch(server.address())
        #expect(try watch.next().kind == .progress)
        database.pause()
        server.child.send(SIGTERM)
        #expect(try watch.end().status == .ok)
        #expect(try server.child.waitForExit(timeout: .seconds(5)) == .exited(0))
        database.resume()
      }
    }
  }

  @Test func aConnectionsMaximumAge() throws {
    try withDeployment { test in
      try test.agents.insert(Documents.agent("a"))
      let server = try test.server { $0.maximumConnectionAge = .seconds(1) }
      let watch = try Watch.open(server)
      let (notices, status) = try watch.end()
      #expect(status == .ok)
      #expect(notices.last?.reason == "draining")
      #expect(try server.client().agent("a").status == .ok, "a new connection is served")
    }
  }
}
