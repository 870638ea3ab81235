// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import Glibc
internal import ProtobufMessages
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

@testable internal import CommandLineTool

/// `--output`, `--json`, `--color` and `NO_COLOR`.
@Suite struct OutputFormatTests {
  /// Every document of YAML on standard input as a line of JSON.
  private static let reader =
    "import json, sys, yaml\nfor one in yaml.safe_load_all(sys.stdin): print(json.dumps(one, ensure_ascii=False))"

  /// What a parser of YAML reads, a document for each element.
  private func documents(_ yaml: String) throws -> [[String: Any]] {
    try temporaryFolder { folder in
      let file = folder.appendingPathComponent("yaml")
      try yaml.write(to: file, atomically: true, encoding: .utf8)
      let words = [
        "-c", "exec \"$0\" -c \"$1\" <\"$2\"", try PythonEnvironment.command("python"), Self.reader, file.path,
      ]
      return try ChildProcess.run("/bin/sh", words, environment: ["PYTHONIOENCODING": "utf-8"]).map(jsonObject)
    }
  }

  private func isEqual(_ left: Any, _ right: Any) -> Bool {
    (left as? NSObject)?.isEqual(right) ?? false
  }

  @Test func yamlHasTheValuesOfJSON() throws {
    try withSeededServer(.frames) { tool in
      for words in [
        ["get", "agent", "disease-diagnosis"], ["get", "prompt", "disease-diagnosis"],
        ["get", "source", "qc-machine-results"], ["list", "agents", "--page-size", "2"], ["list", "sources"],
        ["resolve", "quality-events", "results/F1/WM-4521/batch-001.json"], ["health"], ["invalidate", "prompt"],
        ["watch", "--initial", "--values", "--count", "5"],
      ] {
        // The time since the last verification differs, and so may the order of notices.
        func stable(_ documents: [[String: Any]]) -> [[String: Any]] {
          documents.map { document in
            var document = document
            if var metadata = document["metadata"] as? [String: Any] {
              metadata["age_ms"] = nil
              metadata["observed_revision"] = nil
              document["metadata"] = metadata
            }
            if document["cache_key"] != nil || document["kind"] != nil { document["revision"] = nil }
            document["starts_after_ms"] = nil
            return document
          }.sorted { "\($0["cache_key"] ?? "")" < "\($1["cache_key"] ?? "")" }
        }
        let json = try tool(words + ["--output", "json"])
        let yaml = try tool(words + ["--output", "yaml"])
        #expect(json.status == .exited(0) && yaml.status == .exited(0), "\(words): \(json.errors) \(yaml.errors)")
        let wanted = stable(try json.output.map(jsonObject))
        let read = stable(try documents(yaml.output.joined(separator: "\n") + "\n"))
        #expect(!wanted.isEmpty && isEqual(wanted, read), "\(words): \(yaml.output.prefix(40))")
      }
      #expect(try tool("get", "agent", "disease-diagnosis", "--json").output.count == 1)
      let status = try tool("status", "--output", "yaml")
      #expect(status.output.first == "---" && status.output.contains("  cache_valid: true"), "\(status.output)")
    }
  }

  /// Texts that YAML would take for something else.
  @Test func everyTextIsReadAsItIs() throws {
    let texts =
      [
        "", " ", "a", "a b", "a ", " a", "a: b", "a:", "a #b", "#", "- a", "-", "true", "No", "y", "null", "~", "1",
        "1.0.0", "1e3", "0x1f", "e1", ".inf", "2026-01-01", "12:30:45", "'", "\"", "\\", "{}", "[a]", "&a", "*a", "!a",
        "%a", "@a", "`a`", "|", ">", "?", "=", "<<", "é", "日本", "\u{1F600}", "\u{feff}a", "\u{0}", "\u{1b}[1m",
        "\u{85}", "\u{2028}", "\u{7f}", "\u{202e}", "\u{fffe}", "\t", "a\tb", "a\n", "a\nb", "a\nb\n", "a\n\n", "\n",
        "\na", " a\nb", "a\n b\n", "a\n \nb", "a\n\nb\n\n\n", "a\r\nb", "a\n#b", "a\n---\nb", "a\n...", "a: 1\nb: 2",
        "a\n\tb", "---", "...", "agent_config:x", "mongodb://h", "/a/b", "_id",
      ] + ["日\n本", "a\n\u{feff}b"]
    let numbers = ["0", "-1", "0.5", "1e-07", "1e+16", "2.5e-05"]
    let trees: [MessageTree] =
      texts.flatMap { text -> [MessageTree] in
        [
          .object([("a", .text(text)), ("b", .list([.text(text), .object([("c", .text(text)), ("d", .text("x"))])]))]),
          .object([(text, .list([.list([.text(text), .number("1")]), .list([])])), ("z", .object([]))]),
        ]
      } + numbers.map { .object([("n", .number($0)), ("o", .list([.number($0), .bool(true)]))]) }
    let printer = MessagePrinter()
    let read = try documents(trees.map { printer.yaml($0) }.joined())
    #expect(read.count == trees.count)
    for (tree, document) in zip(trees, read) {
      let wanted = try jsonObject(printer.json(tree))
      #expect(isEqual(wanted, document), "\(printer.yaml(tree).debugDescription)")
    }
  }

  @Test func theFormatIsChosenOnce() throws {
    func format(_ arguments: [String], _ environment: [String: String] = [:]) throws(UsageError) -> OutputFormat {
      var options = ToolOptions()
      let parsed = try ToolOptions.flags.read(arguments, environment: environment, into: &options)
      try options.finish(flags: parsed.flags, environment: environment)
      return options.output
    }
    let (json, output) = ("CONFIG_LOOKUP_JSON", "CONFIG_LOOKUP_OUTPUT")
    #expect(try format([]) == .text)
    #expect(try format(["--json"]) == .json)
    #expect(try format(["--output", "yaml"]) == .yaml)
    #expect(try format(["--output", "json", "--json"]) == .json)
    #expect(try format(["--output", "yaml", "--json=false"]) == .yaml)
    #expect(try format([], [json: "true"]) == .json)
    #expect(try format([], [output: "yaml"]) == .yaml)
    #expect(try format(["--output", "text"], [json: "true"]) == .text, "a flag takes precedence")
    #expect(try format(["--json"], [output: "yaml"]) == .json)
    #expect(try format(["--json=false"], [json: "true"]) == .text)
    for (arguments, environment, message) in [
      (["--json", "--output", "yaml"], [:], "--json: conflicts with --output yaml; give one of the two"),
      (["--output=text", "--json"], [:], "--json: conflicts with --output text; give one of the two"),
      ([], [json: "1", output: "text"], "\(json): conflicts with \(output) text; give one of the two"),
    ] as [([String], [String: String], String)] {
      let error = #expect(throws: UsageError.self) { try format(arguments, environment) }
      #expect(error?.message == message)
    }
    let end = try ProcessEnd("config-lookup", ["status", "--json", "--output", "yaml"])
    #expect(end.status == .exited(EX_USAGE) && end.errors.contains("conflicts with --output yaml"))
  }

  @Test func coloursAreForTerminals() {
    for (mode, environment, isTerminal, isOn) in [
      (.auto, [:], true, true), (.auto, [:], false, false), (.auto, ["NO_COLOR": "1"], true, false),
      (.auto, ["NO_COLOR": ""], true, true), (.auto, ["TERM": "dumb"], true, false), (.always, [:], false, true),
      (.always, ["NO_COLOR": "1"], true, true), (.never, [:], true, false),
    ] as [(ColorMode, [String: String], Bool, Bool)] {
      #expect(Style(mode, environment: environment, isTerminal: isTerminal).isOn == isOn, "\(mode) \(environment)")
    }
    var table = TextTable("A", "B")
    table.add([TextTable.Cell("one", .green), TextTable.Cell("")])
    #expect(table.lines(.plain) == ["A    B", "one  -"])
    #expect(
      table.lines(Style(.always, environment: [:], isTerminal: false)) == [
        "\u{1b}[1mA\u{1b}[0m    \u{1b}[1mB\u{1b}[0m", "\u{1b}[32mone\u{1b}[0m  -",
      ])
  }

  /// In a pipe there is no colour unless it is asked for; on a terminal there is, unless `NO_COLOR` is set.
  @Test func coloursOfARealServer() throws {
    try withSeededServer(.frames) { tool in
      let green = "\u{1b}[32mvalid"
      #expect(try !tool("status").output.joined().contains("\u{1b}"))
      #expect(try tool("status", "--color", "always").output.joined().contains(green))
      #expect(try tool("health", "--color", "always").output == ["\u{1b}[32mserving\u{1b}[0m"])
      let terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
      for (noColor, isColoured) in [("", true), ("1", false)] {
        let child = try ChildProcess(
          PythonEnvironment.command("python"),
          ["-c", terminal, try builtExecutable("config-lookup"), "status", "--server", tool.server],
          environment: ["NO_COLOR": noColor, "TERM": "xterm"])
        #expect(try child.waitForExit() == .exited(0), "\(child.lastLines)")
        #expect(child.outputLines.joined().contains(green) == isColoured, "\(child.lastLines)")
      }
    }
  }
}
