// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Foundation
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

@testable internal import CommandLineTool
@testable internal import ConfigLookupServer

/// Every flag, every variable and every file that users write, in each spelling: it is accepted, or rejected with a
/// message that names it.
@Suite struct FlagTableTests {
  @Test func everyFlagAndVariableOfTheServer() {
    check(ServerConfiguration.flags, serverSamples) { ServerConfiguration() }
  }

  @Test func everyFlagAndVariableOfTheTool() {
    check(ToolOptions.flags, toolSamples) { ToolOptions() }
  }

  private func check<Configuration>(
    _ parser: FlagParser<Configuration>, _ samples: [String: Sample], _ new: () -> Configuration
  ) {
    let names = Set(parser.flags.map(\.name))
    #expect(names.subtracting(samples.keys) == [], "a row is missing: how may these be written?")
    #expect(Set(samples.keys).subtracting(names) == [], "there are no such flags")
    for flag in parser.flags {
      guard let sample = samples[flag.name] else { continue }
      /// The parsed configuration, or the error message, for a text in one of the two ways.
      func read(_ text: String, isVariable: Bool) -> Outcome {
        var configuration = new()
        do throws(UsageError) {
          if isVariable {
            guard let variable = flag.environmentVariable else { return .taken("") }
            _ = try parser.parse([], environment: [variable: text], into: &configuration)
          } else {
            _ = try parser.parse(["--\(flag.name)=\(text)"], environment: [:], into: &configuration)
          }
          return .taken(String(reflecting: configuration))
        } catch {
          return .refused(error.message)
        }
      }
      for isVariable in flag.environmentVariable == nil ? [false] : [false, true] {
        let name = isVariable ? flag.environmentVariable ?? "" : "--\(flag.name)"
        let wanted = read(sample.good, isVariable: isVariable)
        #expect(wanted.isTaken, "\(name): \(wanted)")
        #expect(read("", isVariable: isVariable).isTaken == sample.isVerbatim, "\(name): empty")
        func expectRefusal(_ text: String, _ words: String) {
          let outcome = read(text, isVariable: isVariable)
          guard case .refused(let message) = outcome else {
            Issue.record("\(name): \(text.debugDescription) is taken")
            return
          }
          #expect(message.hasPrefix("\(name): ") && (words.isEmpty || message.contains(words)), "\(message)")
        }
        for text in sample.refused { expectRefusal(text, "") }
        for text in sample.same {
          let outcome = read(text, isVariable: isVariable)
          #expect(outcome == wanted, "\(name): \(text.debugDescription): \(outcome)")
        }
        if sample.isVerbatim {
          #expect(read(" \(sample.good)\n", isVariable: isVariable) != wanted, "\(name): data is taken as it is")
          continue
        }
        for (before, after) in [
          ("", "\n"), ("", "\r\n"), ("", "\r"), ("  ", "\t "), ("\u{feff}", ""), ("\u{a0}", "\n\n"),
        ] {
          let outcome = read(before + sample.good + after, isVariable: isVariable)
          #expect(outcome == wanted, "\(name): \((before + "|" + after).debugDescription): \(outcome)")
        }
        expectRefusal(sample.good + "\0", "NUL")
        expectRefusal(sample.good + "\r\n" + sample.good, "line break")
        expectRefusal(" \r\n", "is empty; give ")
        expectRefusal("\u{feff}", "is empty; give ")
      }
    }
  }

  private enum Outcome: Equatable {
    case taken(String)
    case refused(String)

    var isTaken: Bool { if case .taken = self { true } else { false } }
  }

  private struct Sample {
    let good: String
    /// Other spellings of the same value, as in another case.
    var same: [String] = []
    /// Values that must be rejected: in the wrong case, with doubled separators, and others.
    var refused: [String] = []
    var isVerbatim = false

    static func number(_ good: String) -> Sample {
      Sample(good: good, refused: ["-1", "\(good)s", "1 0", "1,,0", "nan", "0x", "1_0"])
    }
    static let toggle = Sample(good: "true", same: ["TRUE", "1", "Yes"], refused: ["tru", "on off", "true,true"])
    static let address = Sample(
      good: "localhost:5061",
      refused: ["localhost", "localhost::5061", "localhost:", "local host:1", "h:99999", "h:1:2"])
    static let namespace = Sample(
      good: "db.collection",
      refused: ["collection", "db..collection", ".collection", "db.", "d b.c", "db.c..d", "db.$c"])
    static let file = Sample(good: "/some/file")
    static let data = Sample(good: "x", isVerbatim: true)
    static let mongoDBURI = Sample(
      good: "mongodb://u:p@host:1/?replicaSet=rs0",
      refused: [
        "MONGODB://host", "host:1", "mongodb://a,,b/", "mongodb://h/?w=1&&tls=true", "mongodb://h/?tls=", "mongodb:///",
      ])
  }

  private let serverSamples: [String: Sample] = [
    "mongodb-uri": .mongoDBURI, "listen": .address, "http-listen": .address, "agent-configs": .namespace,
    "prompts": .namespace, "source-configs": .namespace, "threads": .number("2"), "ttl-seconds": .number("7"),
    "max-staleness-seconds": .number("7"), "max-majority-lag-seconds": .number("7"), "drain-seconds": .number("7"),
    "max-connection-age-seconds": .number("7"),
    "tls-certificate": .file, "tls-key": .file, "tls-client-ca": .file, "http-plain": .toggle, "credentials": .file,
    "allow-insecure": .toggle, "max-connections": .number("7"), "max-connections-per-address": .number("7"),
    "max-calls-per-connection": .number("7"), "max-request-bytes": .number("4096"), "max-subscribers": .number("7"),
    "max-queued-keys": .number("7"), "max-buffered-bytes": .number("2097152"), "handshake-seconds": .number("7"),
    "silence-seconds": .number("7"), "max-connection-idle-seconds": .number("7"), "reflection": .toggle,
    "max-waiting-calls": .number("7"), "min-progress-interval-ms": .number("70"), "max-health-watches": .number("7"),
    "max-health-watches-per-connection": .number("7"), "max-reflection-streams-per-connection": .number("7"),
    "max-http-connections": .number("7"), "max-http-connections-per-address": .number("7"),
    "http-first-request-seconds": .number("7"),
    "http-allowed-hosts": Sample(good: "config.example", refused: ["a,,b", "http://a", "a b", "a:b:c"]),
    "allow-core-dumps": .toggle,
    "epoch-salt": Sample(good: "after restore"),
    "log-level": Sample(good: "warning", same: ["WARNING", "Warning"], refused: ["warn", "info,,debug", "loud"]),
    "log-format": Sample(good: "json", same: ["JSON"], refused: ["xml", "json,,text"]), "check-config": .toggle,
    "completion": Sample(good: "bash", same: ["BASH"], refused: ["csh", "bash,zsh"]), "man": .toggle,
    "version": .toggle, "help": .toggle,
  ]

  private let toolSamples: [String: Sample] = [
    "server": .address, "http-server": .address, "grpc": .toggle, "token-file": .file, "json": .toggle,
    "output": Sample(good: "yaml", same: ["YAML"], refused: ["yml", "json,,yaml"]),
    "color": Sample(good: "always", same: ["Always"], refused: ["yes", "on"]),
    "timeout-seconds": .number("7"),
    "version": .toggle, "help": .toggle, "tls": .toggle, "tls-ca": .file, "tls-certificate": .file, "tls-key": .file,
    "tls-server-name": Sample(good: "db.example"), "subject": .data,
    "variant": Sample(good: "staged", same: ["STAGED"], refused: ["stagged", "staged,,active"]),
    "by-prompt-id": .toggle, "container": .data, "ai-agent": .data, "if-none-match": .data, "type": .data,
    "mode": .data, "page-size": .number("7"), "page-token": .data,
    "selector": Sample(good: "prompt_id", refused: ["prompt", "prompt_id,,agent_id"]),
    "entity": Sample(good: "agent", same: ["Agent"], refused: ["agents", "agent,,prompt"]), "key": .data,
    "prefix": .data, "initial": .toggle, "values": .toggle, "interval-ms": .number("70"), "follow": .toggle,
    "other-server": .address, "count": .number("7"), "mongodb-uri": .mongoDBURI, "agent-configs": .namespace,
    "prompts": .namespace, "source-configs": .namespace, "connections": .number("7"), "depth": .number("7"),
    "seconds": .number("7"), "threads": .number("7"),
  ]

  // MARK: Files

  /// The files of the server: certificate, key, CAs and credentials.
  @Test func everyFileOfTheServer() throws {
    try temporaryFolder { folder in
      let authority = try TestAuthority(folder)
      let pair = try authority.issueServer()
      let digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
      let credentials = folder.appendingPathComponent("credentials").path
      try "a sha256:\(digest) read watch\n".write(toFile: credentials, atomically: true, encoding: .utf8)
      let files = [
        "--tls-certificate": pair.certificate, "--tls-key": pair.key, "--tls-client-ca": authority.certificate,
        "--credentials": credentials,
      ]
      func start(_ flag: String, _ bytes: [UInt8]) throws -> String? {
        let path = folder.appendingPathComponent("changed").path
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let arguments = files.merging([flag: path]) { $1 }.flatMap { [$0, $1] }
        do throws(UsageError) {
          let configuration = try ServerConfiguration(arguments: arguments, environment: [:])
          _ = try (ServerTLS(configuration), configuration.credentials())
          return nil
        } catch {
          return error.message
        }
      }
      for (flag, path) in files {
        let good = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let text = String(decoding: good, as: UTF8.self)
        let crlf = text.replacingOccurrences(of: "\n", with: "\r\n")
        for (what, taken) in [
          ("as it is", text), ("CRLF", crlf), ("BOM", "\u{feff}" + text), ("BOM and CRLF", "\u{feff}" + crlf),
          ("empty lines around it", "\n\r\n" + text + "\r\n\n"),
          ("no line end", text.trimmingCharacters(in: .newlines)),
          ("blanks behind lines", text.replacingOccurrences(of: "\n", with: " \n")),
        ] {
          let problem = try start(flag, Array(taken.utf8))
          #expect(problem == nil, "\(flag): \(what)")
        }
        for (what, refused) in [
          ("empty", []), ("only white space", Array("\r\n \n".utf8)),
          ("UTF-16", [0xff, 0xfe] + text.utf8.flatMap { [$0, 0] }), ("NUL", [UInt8](repeating: 0, count: 9)),
        ] as [(String, [UInt8])] {
          let problem = try #require(try start(flag, refused), "\(flag): \(what) is taken")
          #expect(problem.hasPrefix("\(flag): ") && problem.contains("changed"), "\(flag): \(what): \(problem)")
        }
      }
    }
  }

  // MARK: Unknown variables

  @Test func unknownVariablesAreNamed() throws {
    func warnings(_ names: [String]) throws -> [String] {
      try ServerConfiguration(
        arguments: [], environment: Dictionary(uniqueKeysWithValues: names.map { ($0, "s3cret") })
      ).warnings
    }
    for (name, words) in [
      ("CONFIG_LOOKUP_LISTN", "did you mean CONFIG_LOOKUP_LISTEN?"),
      ("CONFIG_LOOKUP_TTL", "did you mean CONFIG_LOOKUP_TTL_SECONDS?"),
      ("CONFIG_LOOKUP_FROBNICATE", "unknown variable, ignored"),
      // Of the tool, which the server knows too.
      ("CONFIG_LOOKUP_SERVR", "did you mean CONFIG_LOOKUP_SERVER?"),
      ("config_lookup_listen", "did you mean CONFIG_LOOKUP_LISTEN?"),
      ("CONFIG_LOOKUP_HELP", "--help has no environment variable"),
      ("CONFIG_LOOKUP_VERSION", "--version has no"), ("CONFIG_LOOKUP_CHECK_CONFIG", "--check-config has no"),
    ] {
      let said = try warnings([name])
      #expect(said.count == 1 && said[0].hasPrefix("\(name): ") && said[0].contains(words), "\(said)")
      #expect(!said.joined().contains("s3cret"))
    }
    let others = Array(EnvironmentVariables.ofToolAndScripts)
    let links = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_GRPC", "PORT", "PORT_50061_TCP", "PORT_50061_TCP_ADDR"]
    #expect(try warnings(others + links.map { "CONFIG_LOOKUP_\($0)" } + ["PATH", "CONFIGLOOKUP"]) == [])
  }

  /// The lists in Core contain exactly the variables that the programs and the scripts read.
  @Test func theVariablesOfToolAndScripts() throws {
    var read: Set<String> = Set(ToolOptions.flags.flags.compactMap(\.environmentVariable))
    let root = packageRoot
    for folder in ["script", "Sources/CommandLineTool", "Tests/TestSupport", "deploy"] {
      let files = FileManager.default.enumerator(
        at: root.appendingPathComponent(folder), includingPropertiesForKeys: nil)
      while let file = files?.nextObject() as? URL {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
        for match in text.matches(of: /CONFIG_LOOKUP_[A-Z_]*[A-Z]/) { read.insert(String(match.output)) }
      }
    }
    let ofServer = Set(ServerConfiguration.flags.flags.compactMap(\.environmentVariable))
    #expect(read.subtracting(ofServer) == EnvironmentVariables.ofToolAndScripts)
    #expect(ofServer == EnvironmentVariables.ofServer)
  }
}
