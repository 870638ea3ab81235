// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// Both programs with standard streams that cannot be written, or that are closed.
@Suite struct StandardStreamTests {
  /// The redirection of standard output before the program starts, in a shell.
  enum Output: String, CaseIterable {
    case full = #"exec "$0" "$@" >/dev/full"#
    case closed = #"exec "$0" "$@" >&-"#
    /// A pipe whose reader has closed its end.
    case readerIsGone = #"mkfifo pipe; exec 3<>pipe 4>pipe 3<&-; rm pipe; exec "$0" "$@" >&4 4>&-"#

    func run(_ name: String, _ words: [String], environment: [String: String] = [:]) throws -> ChildProcess {
      try temporaryFolder { folder in
        let child = try ChildProcess(
          "/bin/sh", ["-c", rawValue, try builtExecutable(name)] + words, environment: environment, folder: folder)
        try child.waitForExit()
        return child
      }
    }

    /// Checks the exit status of the program, and that it prints an error if it must.
    func check(_ child: ChildProcess, _ words: [String]) throws {
      let status = try child.waitForExit()
      let errors = child.errorLines.joined(separator: "\n")
      if self == .readerIsGone {
        #expect(status == .exited(128 + SIGPIPE) && errors.isEmpty, "\(words): \(status), \(errors)")
      } else {
        #expect(status == .exited(EX_IOERR), "\(words): \(status), \(errors)")
        let reason = self == .full ? "No space left on device" : "Bad file descriptor"
        #expect(errors.contains("standard output: \(reason)") && child.errorLines.count == 1, "\(words): \(errors)")
      }
    }
  }

  private static let commands = [
    ["get", "agent", "disease-diagnosis"], ["get", "prompt", "disease-diagnosis"],
    ["get", "source", "qc-machine-results"], ["resolve", "quality-events", "results/F1/WM-4521/batch-001.json"],
    ["list", "agents"], ["list", "prompts"], ["list", "sources"], ["status"], ["health"], ["invalidate", "prompt"],
    ["watch"], ["watch", "--initial", "--values"], ["bench", "--seconds", "0.1", "--connections", "2"],
  ]

  @Test(arguments: Output.allCases) func whatEveryCommandPrints(output: Output) throws {
    try withSeededServer(.frames) { tool in
      let structured = [["--json"], ["--output", "yaml"]].flatMap { flags in Self.commands.map { $0 + flags } }
      for words in Self.commands + structured + [["watch", "--follow"]] {
        let child = try output.run("config-lookup", words, environment: ["CONFIG_LOOKUP_SERVER": tool.server])
        try output.check(child, words)
      }
      // If the output had been written to the connection's socket, the server would have closed it as malformed.
      #expect(try tool("status").status == .exited(0))
    }
  }

  @Test(arguments: Output.allCases) func whatProgramsPrintOfThemselves(output: Output) throws {
    for name in ["config-lookup", "config-lookup-server"] {
      for flag in ["--help", "--version"] { try output.check(output.run(name, [flag]), [name, flag]) }
    }
    for words in [["help"], ["help", "watch"], ["man"], ["completion", "zsh"]] {
      try output.check(output.run("config-lookup", words), words)
    }
    for words in [["--man"], ["--completion", "bash"]] {
      try output.check(output.run("config-lookup-server", words), words)
    }
    try output.check(output.run("config-lookup-server", ["--check-config"]), ["--check-config"])
  }

  /// `head -n 1` closes the pipe before everything is printed: no message.
  @Test func whatIsPrintedEndsWithItsReader() throws {
    try withSeededServer(.frames) { tool in
      for words in [["list", "agents"], ["help"], ["man"], ["status"]] {
        let child = try ChildProcess(
          "/bin/bash",
          ["-c", #""$0" "$@" | head -n 1; echo "${PIPESTATUS[0]}""#] + [try builtExecutable("config-lookup")] + words,
          environment: ["CONFIG_LOOKUP_SERVER": tool.server])
        #expect(try child.waitForExit() == .exited(0))
        // A small output may be written before `head` ends.
        #expect(["0", "\(128 + SIGPIPE)"].contains(child.outputLines.last ?? ""), "\(words): \(child.lastLines)")
        #expect(child.outputLines.count == 2 && child.errorLines.isEmpty, "\(words): \(child.lastLines)")
      }
    }
  }

  /// A reader that takes one line ends a watch without an error message.
  @Test func aWatchEndsWithItsReader() throws {
    try withSeededServer(.gRPC) { tool in
      let child = try ChildProcess(
        "/bin/bash",
        ["-c", #""$0" "$@" | head -n 1; echo "${PIPESTATUS[0]}""#]
          + [try builtExecutable("config-lookup"), "watch", "--interval-ms", "20", "--server", tool.server])
      #expect(try child.waitForExit() == .exited(0))
      #expect(child.outputLines.count == 2 && child.outputLines.last == "\(128 + SIGPIPE)", "\(child.lastLines)")
      #expect(child.errorLines.isEmpty, "\(child.lastLines)")
    }
  }

  /// The server logs to standard error, and must drain without it.
  @Test(arguments: ["2>&-", "2>/dev/full", "3<>pipe 4>pipe 3<&- 2>&4 4>&-", ">&- <&- 2>&-"])
  func aServerDrainsWithoutItsLog(redirection: String) throws {
    try temporaryFolder { folder in
      let (port, httpPort) = (try freePort(), try freePort())
      let child = try ChildProcess(
        "/bin/sh",
        ["-c", "mkfifo pipe; exec \"$0\" \"$@\" \(redirection)", try builtExecutable("config-lookup-server")]
          + ["--mongodb-uri", "mongodb://127.0.0.1:\(try freePort())", "--listen", "127.0.0.1:\(port)"]
          + ["--http-listen", "127.0.0.1:\(httpPort)"], folder: folder)
      try poll("it listens, and is not ready") {
        try ProcessEnd("config-lookup", ["health", "--server", "127.0.0.1:\(port)"]).output == ["not serving"]
      }
      child.send(SIGTERM)
      #expect(try child.waitForExit() == .exited(0), "\(redirection): \(child.lastLines)")
    }
  }
}
