// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupServer
internal import Foundation
internal import Glibc
internal import MongoSource
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The environment that the server finds at its start: limits of the system, unknown variables, missing collections.
@Suite struct SurroundingsTests {
  private static let loopback = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]

  /// Starts the server by a shell, after `command`.
  private func start(after command: String, _ arguments: [String]) throws -> ChildProcess {
    try ChildProcess(
      "/bin/sh", ["-c", command + "; exec \"$0\" \"$@\"", builtExecutable("config-lookup-server")] + arguments)
  }

  @Test(arguments: [
    ("ulimit -n 20", "open file descriptors is 20,"), ("ulimit -n 64", "open file descriptors is 64,"),
    ("ulimit -v 300000", "address space is 300000 KiB,"),
  ]) func aLimitThatIsTooLowToServe(command: String, words: String) throws {
    for arguments in [Self.loopback, ["--check-config"]] {
      let child = try start(after: command, arguments)
      #expect(try child.waitForExit() == .exited(arguments == Self.loopback ? EX_UNAVAILABLE : EX_USAGE))
      #expect(child.errorLines.count == 1, "\(child.lastLines)")
      let line = child.errorLines.first ?? ""
      #expect(line.contains(words) && line.contains("at least") && line.contains("ulimit"), "\(line)")
    }
  }

  @Test func connectionsThatCannotBeReached() throws {
    let words =
      "--max-connections: 10000 cannot be reached: the limit of open file descriptors is 1000, which leaves 872"
    let check = try start(after: "ulimit -n 1000", ["--check-config"])
    #expect(try check.waitForExit() == .exited(0))
    #expect(check.errorLines.contains { $0.contains(words) }, "\(check.lastLines)")
    let uri = ["--mongodb-uri", "mongodb://127.0.0.1:\(try freePort())/"]
    let server = try start(after: "ulimit -n 1000", Self.loopback + uri)
    try server.waitForLine("the warning") { $0.contains("configuration_warning") && $0.contains(words) }
    try server.waitForLine("it listens") { $0.contains("\"listening\"") }
    #expect(try server.stop() == .exited(0))
    let fewer = try start(after: "ulimit -n 1000", ["--check-config", "--max-connections", "500"])
    #expect(try fewer.waitForExit() == .exited(0))
    #expect(fewer.errorLines == [])
  }

  /// Servers raise the soft limit, which exists for programs that call `select`.
  @Test func theSoftLimitIsRaisedToTheHardOne() throws {
    let uri = ["--mongodb-uri", "mongodb://127.0.0.1:\(try freePort())/"]
    let server = try start(after: "ulimit -S -n 64; ulimit -H -n 11000", Self.loopback + uri)
    try server.waitForLine("it listens") { $0.contains("\"listening\"") }
    #expect(!server.errorLines.contains { $0.contains("configuration_warning") })
    let limits = try String(contentsOfFile: "/proc/\(server.pid)/limits", encoding: .utf8)
    let line = limits.split(separator: "\n").first { $0.hasPrefix("Max open files") } ?? ""
    #expect(line.split(separator: " ").filter { $0 == "11000" }.count == 2, "\(line)")
    #expect(try server.stop() == .exited(0))
  }

  /// CONFIG_LOOKUP_HELP=1 made a container's health check succeed in every case.
  @Test func variablesThatNothingReads() throws {
    let environment = [
      "CONFIG_LOOKUP_HELP": "1", "CONFIG_LOOKUP_VERSION": "1.2.3", "CONFIG_LOOKUP_LISTN": "127.0.0.1:1",
      "CONFIG_LOOKUP_SEED": "1",
    ]
    let check = try ProcessEnd("config-lookup-server", ["--check-config"], environment: environment)
    #expect(check.status == .exited(0) && check.output.contains { $0.contains("would run with") })
    let uri = ["--mongodb-uri", "mongodb://127.0.0.1:\(try freePort())/"]
    let server = try ServerProcess(Self.loopback + uri, environment: environment)
    try server.child.waitForLine("it listens") { $0.contains("\"listening\"") }
    for words in [
      "CONFIG_LOOKUP_HELP: --help has no environment variable", "CONFIG_LOOKUP_VERSION: --version has no",
      "CONFIG_LOOKUP_LISTN: unknown variable, ignored: did you mean CONFIG_LOOKUP_LISTEN?",
    ] {
      #expect(check.errors.contains(words), "\(check.errors)")
      #expect(server.child.errorLines.contains { $0.contains("configuration_warning") && $0.contains(words) })
    }
    #expect(!check.errors.contains("CONFIG_LOOKUP_SEED"))
    #expect(try server.child.stop() == .exited(0))
    // The same for the tool: it looks for a server.
    let health = try ProcessEnd(
      "config-lookup", ["health", "--server", "127.0.0.1:\(try freePort())", "--timeout-seconds", "2"],
      environment: environment)
    #expect(health.status == .exited(EX_UNAVAILABLE))
    let warning = "config-lookup: warning: CONFIG_LOOKUP_LISTN: unknown variable, ignored: did you mean "
    #expect(health.errors.contains(warning + "CONFIG_LOOKUP_LISTEN?"), "\(health.errors)")
    #expect(!health.errors.contains("CONFIG_LOOKUP_SEED"), "\(health.errors)")
  }

  /// A misspelt collection is an empty one: the server is ready with 0 keys.
  @Test func aCollectionThatIsNotThere() throws {
    try withDeployment { test in
      try test.prompts.insert(Documents.prompt("a", status: "archived"))
      try test.sources.insert(Documents.source("s"))
      let server = try test.server { $0.agentConfigs = "\(test.name).agnets" }
      try poll("the warnings") { server.log.lines(event: "collection_without_match").count == 1 }
      let empty = server.log.lines(event: "collection_empty")
      #expect(
        empty.count == 1 && empty[0].contains("\(test.name).agnets") && empty[0].contains("--agent-configs"), "\(empty)"
      )
      let other = server.log.lines(event: "collection_without_match")
      #expect(other[0].contains("\(test.name).prompts") && other[0].contains("check their status"), "\(other)")
    }
  }
}
