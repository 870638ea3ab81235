// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

@testable internal import CommandLineTool
@testable internal import ConfigLookupServer

/// The help texts, the manual pages and the completion scripts of both programs.
@Suite struct HelpTests {
  private static let programs = [Command.program, ServerConfiguration.program]

  // MARK: Help

  @Test(arguments: Command.all.map(\.description.name)) func helpOfACommand(name: String) throws {
    let command = try Command.named(name)
    let help = Command.program.help(of: command.description)
    let shown = help.split(separator: "\n").compactMap { $0.firstMatch(of: /^  (--[a-z-]+)/).map { String($0.1) } }
    let own = command.description.flags.map { "--\($0.name)" }
    #expect(shown.prefix(own.count) == own[...] && Set(shown).count == shown.count)
    for flag in ToolOptions.flags.flags {
      let isTaken = (try? command.check([flag.name])) != nil
      #expect(shown.contains("--\(flag.name)") == isTaken, "\(name): --\(flag.name)")
    }
    #expect(command.description.usage.allSatisfy { $0.split(separator: " ").first ?? "" == name })
    for (comment, example) in command.description.examples {
      #expect(help.contains("  # \(comment)\n  \(example)"))
      #expect(example.contains("config-lookup"), "\(example)")
    }
    #expect(!command.description.examples.isEmpty && !command.description.description.isEmpty)
  }

  @Test func helpIsPrintedInEveryWay() throws {
    let watch = try ProcessEnd("config-lookup", ["help", "watch"])
    #expect(watch.status == .exited(0) && watch.errors.isEmpty)
    #expect(watch.output.contains("  --entity ENTITY") && !watch.output.contains { $0.contains("--depth") })
    for words in [["watch", "--help"], ["--help", "watch"], ["watch", "--help", "--entity", "agent"]] {
      let end = try ProcessEnd("config-lookup", words)
      #expect(end.status == .exited(0) && end.output == watch.output, "\(words)")
    }
    let overview = try ProcessEnd("config-lookup", ["help"])
    #expect(overview.status == .exited(0) && overview.output.count < 50, "\(overview.output.count) lines")
    for command in Command.all.map(\.description) {
      #expect(overview.output.contains { $0.hasPrefix("  \(command.name) ") && $0.hasSuffix(command.summary) })
    }
    #expect(overview.output.contains { $0.hasPrefix("  --server HOST:PORT") })
    #expect(!overview.output.contains { $0.contains("--subject") })
    for (words, status) in [([], EX_USAGE), (["--help"], 0)] as [([String], Int32)] {
      let end = try ProcessEnd("config-lookup", words)
      #expect(end.status == .exited(status) && end.output == overview.output && end.errors.isEmpty, "\(words)")
    }
    let unknown = try ProcessEnd("config-lookup", ["help", "wacth"])
    #expect(unknown.status == .exited(EX_USAGE) && unknown.errors.contains("did you mean watch?"))
  }

  @Test func theHelpOfTheServerIsGroupedByTopic() {
    let lines = ServerConfiguration.help.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    for group in ServerConfiguration.flags.groups {
      let start = lines.firstIndex(of: "\(group.title):") ?? lines.endIndex
      let section = lines[start...].prefix { !$0.isEmpty }
      for flag in group.flags {
        #expect(section.contains { $0.hasPrefix("  --\(flag.name)") }, "\(group.title): --\(flag.name)")
      }
    }
  }

  /// The first sentence stands alone in lists.
  @Test func helpTextsAreSentences() {
    for program in Self.programs {
      for flag in program.allFlags {
        #expect(flag.help.hasSuffix(".") && flag.help.first?.isUppercase == true, "--\(flag.name): \(flag.help)")
        // A default is on one line of the manual page, which scripts read.
        #expect((flag.defaultText?.count ?? 0) <= 60, "--\(flag.name)")
        #expect(!flag.summary.isEmpty && flag.summary.count <= 150, "--\(flag.name): \(flag.summary)")
        if let placeholder = flag.placeholder,
          let unit = ["SECONDS": "second", "MS": "millisecond", "BYTES": "byte"][placeholder]
        {
          #expect(flag.help.contains(unit), "--\(flag.name): the unit is missing")
        }
      }
      for line in (program.commands.isEmpty ? program.help : program.overview).split(separator: "\n") {
        #expect(line.count <= 80, "\(program.name): \(line)")
      }
    }
  }

  // MARK: Manual pages

  private static let pages = [("config-lookup", ["man"]), ("config-lookup-server", ["--man"])]

  @Test(arguments: pages) func aManualPageDescribesEverything(name: String, words: [String]) throws {
    let end = try ProcessEnd(name, words)
    #expect(end.status == .exited(0) && end.errors.isEmpty)
    let page = end.output.joined(separator: "\n")
    let program = try #require(Self.programs.first { $0.name == name })
    #expect(page + "\n" == program.manualPage)
    for flag in program.allFlags {
      let dashed = "--\(flag.name)".replacing("-", with: #"\-"#)
      #expect(page.contains(#"\fB\#(dashed)\fR"#), "--\(flag.name)")
      if let variable = flag.environmentVariable { #expect(page.contains(".BR \(variable) ."), "\(variable)") }
    }
  }

  @Test(.enabled(if: isInstalled("groff")), arguments: pages)
  func groffHasNoWarning(name: String, words: [String]) throws {
    #expect(try output(of: name, words, through: "groff -man -ww -Tutf8 -P-cbou -rLL=80n").errors == "")
  }

  @Test(.enabled(if: isInstalled("mandoc")), arguments: pages)
  func mandocHasNoWarning(name: String, words: [String]) throws {
    let end = try output(of: name, words, through: "mandoc -Tlint -Wstyle")
    #expect(end.status == .exited(0) && end.output.isEmpty && end.errors.isEmpty, "\(end)")
  }

  // MARK: Completion

  private static let scripts = CompletionShell.allCases.flatMap { shell in
    [
      (shell, "config-lookup", ["completion", shell.rawValue]),
      (shell, "config-lookup-server", ["--completion", shell.rawValue]),
    ]
  }

  @Test(arguments: scripts) func aShellReadsItsScript(shell: CompletionShell, name: String, words: [String]) throws {
    let end = try ProcessEnd(name, words)
    let program = try #require(Self.programs.first { $0.name == name })
    #expect(
      end.status == .exited(0) && end.output.joined(separator: "\n") + "\n" == program.completionScript(for: shell))
    guard isInstalled(shell.rawValue) else { return }
    try temporaryFolder { folder in
      let script = folder.appendingPathComponent("script")
      try program.completionScript(for: shell).write(to: script, atomically: true, encoding: .utf8)
      let check = try ChildProcess("/usr/bin/env", [shell.rawValue, "-n", script.path])
      #expect(try check.waitForExit() == .exited(0) && check.errorLines.isEmpty, "\(check.lastLines)")
    }
  }

  /// Command lines with the cursor at their end, and what the shell proposes.
  private static let completions: [(line: String, has: [String], hasNot: [String])] = [
    ("config-lookup ", ["get", "watch", "completion", "help"], ["agent"]),
    ("config-lookup wa", ["watch"], ["get"]),
    ("config-lookup get ", ["agent", "prompt", "source"], ["watch"]),
    ("config-lookup --server h:1 get pr", ["prompt"], ["agent", "get"]),
    ("config-lookup get --v", ["--variant", "--version"], ["--values"]),
    ("config-lookup watch --v", ["--values", "--version"], ["--variant"]),
    ("config-lookup --ou", ["--output"], []),
    ("config-lookup get agent x --output ", ["text", "json", "yaml"], ["agent"]),
    ("config-lookup watch --entity ag", ["agent"], ["prompt"]),
    ("config-lookup help co", ["completion"], ["get"]),
    ("config-lookup list --type ex", ["extractor", "explorer"], ["generator"]),
    ("config-lookup status --tls-ca ", ["a.pem", "folder/"], ["agent"]),
    ("config-lookup seed ", ["folder/"], ["a.pem"]),
    ("config-lookup-server --log-le", ["--log-level"], ["--log-format"]),
    ("config-lookup-server --log-level ", ["debug", "warning"], ["json"]),
    ("config-lookup-server --tls-key ", ["a.pem"], ["debug"]),
  ]

  private func proposals(_ shell: CompletionShell, _ line: String) throws -> [String] {
    try temporaryFolder { folder in
      try Data().write(to: folder.appendingPathComponent("a.pem"))
      try FileManager.default.createDirectory(
        at: folder.appendingPathComponent("folder"), withIntermediateDirectories: true)
      let program = try #require(Self.programs.first { line.hasPrefix("\($0.name) ") })
      try program.completionScript(for: shell).write(
        to: folder.appendingPathComponent("script"), atomically: true, encoding: .utf8)
      let arguments =
        shell == .bash
        ? ["bash", "-c", Self.bashHarness, "bash"] : ["fish", "-N", "-c", "source ./script; complete -C $argv[1]"]
      let child = try ChildProcess(
        "/usr/bin/env", arguments + [line], environment: ["HOME": folder.path], folder: folder)
      #expect(try child.waitForExit() == .exited(0) && child.errorLines.isEmpty, "\(line): \(child.lastLines)")
      return child.outputLines.map { String($0.prefix { $0 != "\t" }) }
    }
  }

  /// Splits a line as readline does, and calls the function that `complete` has registered.
  private static let bashHarness = #"""
    source ./script
    read -r -a COMP_WORDS <<<"$(sed 's/[:=]/ & /g' <<<"$1")"
    [[ $1 == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    function=$(complete -p "${COMP_WORDS[0]}") && function=${function#*-F } && "${function%% *}"
    for reply in "${COMPREPLY[@]}"; do [[ -d $reply ]] && reply+=/; echo "$reply"; done
    """#

  @Test(.enabled(if: isInstalled("bash"))) func bashCompletes() throws {
    for (line, has, hasNot) in Self.completions {
      let proposed = try proposals(.bash, line)
      #expect(Set(has).subtracting(proposed).isEmpty && Set(hasNot).isDisjoint(with: proposed), "\(line): \(proposed)")
    }
    #expect(try proposals(.bash, "config-lookup get --output=js") == ["json"])
    #expect(try proposals(.bash, "config-lookup get agent x --output=").count == 3)
    #expect(try proposals(.bash, "config-lookup --server h:").isEmpty)
  }

  @Test(.enabled(if: isInstalled("fish"))) func fishCompletes() throws {
    for (line, has, hasNot) in Self.completions {
      let proposed = try proposals(.fish, line)
      #expect(Set(has).subtracting(proposed).isEmpty && Set(hasNot).isDisjoint(with: proposed), "\(line): \(proposed)")
    }
  }

  /// The output of a program through a shell's pipe.
  private func output(of name: String, _ words: [String], through filter: String) throws -> (
    status: ChildProcess.Status, output: [String], errors: String
  ) {
    let child = try ChildProcess(
      "/bin/sh", ["-c", "\"$0\" \"$@\" | \(filter)", try builtExecutable(name)] + words)
    let status = try child.waitForExit()
    return (status, child.outputLines, child.errorLines.joined(separator: "\n"))
  }
}

/// Whether a command is there.
private func isInstalled(_ command: String) -> Bool {
  (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
    FileManager.default.isExecutableFile(atPath: "\($0)/\(command)")
  }
}
