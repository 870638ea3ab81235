// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Glibc
internal import ServiceTestSupport
internal import TestSupport
internal import Testing

/// The scripts of `script/`, except for the parts that build something.
@Suite struct ScriptTests {
  private static let scripts: [String] = {
    let folder = packageRoot.appendingPathComponent("script").path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { FileManager.default.isExecutableFile(atPath: "\(folder)/\($0)") }.sorted()
  }()

  /// Runs a script in an environment in which every attempt to install or build something fails quickly.
  private func run(_ script: String, _ arguments: [String]) throws -> ChildProcess {
    let child = try ChildProcess(
      packageRoot.appendingPathComponent("script/\(script)").path, arguments,
      environment: ["CONFIG_LOOKUP_VENV": "/nonexistent"], folder: packageRoot)
    try child.waitForExit()
    return child
  }

  @Test func thereAreScripts() {
    #expect(Self.scripts.contains("server") && Self.scripts.contains("test"))
  }

  @Test(arguments: scripts, ["--help", "-h"]) func helpComesAtOnce(script: String, flag: String) throws {
    let child = try run(script, [flag])
    #expect(try child.waitForExit() == .exited(0), "\(child.lastLines)")
    #expect(child.outputLines.contains { $0.contains("script/\(script)") }, "\(child.lastLines)")
    #expect(child.errorLines.isEmpty, "\(child.lastLines)")
  }

  @Test(arguments: scripts) func aWrongFlagIsRefused(script: String) throws {
    let child = try run(script, ["--no-such-flag"])
    #expect(try child.waitForExit() == .exited(EX_USAGE), "\(child.lastLines)")
    #expect(child.errorLines.count == 1 && child.lastLines.hasPrefix("script/\(script): --no-such-flag: "))
  }

  @Test func aFlagWithoutItsValueIsRefused() throws {
    for (script, arguments) in [
      ("mutations", ["--seed"]), ("bootstrap", ["--only", "nothing"]), ("docs", ["a", "b"]), ("server", ["-x"]),
    ] {
      let child = try run(script, arguments)
      #expect(try child.waitForExit() == .exited(EX_USAGE), "\(script): \(child.lastLines)")
    }
  }

  /// A build prints its progress and what it waits for; if it fails, it prints its last output.
  @Test func aBuildIsNotSilent() throws {
    try temporaryFolder { folder in
      let script = folder.appendingPathComponent("fake").path
      let text = """
        source \(packageRoot.path)/script/common
        run_build bash -c 'echo -n "Another instance of SwiftPM (PID: 123) is running"; read -r _ <first'
        run_build bash -c 'echo "[7/9] Compiling"; read -r _ <second'
        run_build bash -c 'echo the reason; exit 3' || echo "status $?"
        """
      try text.write(toFile: script, atomically: true, encoding: .utf8)
      let child = try ChildProcess(
        "/bin/bash", ["-c", "mkfifo first second && exec bash -euo pipefail fake"], folder: folder)
      try child.waitForLine("whom it waits for") { $0.hasPrefix("script/fake: waiting for another build") }
      try "\n".write(toFile: folder.appendingPathComponent("first").path, atomically: false, encoding: .utf8)
      try child.waitForLine("how far it is") { $0.hasPrefix("script/fake: building: step 7 of 9, ") }
      try "\n".write(toFile: folder.appendingPathComponent("second").path, atomically: false, encoding: .utf8)
      #expect(try child.waitForExit() == .exited(0), "\(child.lastLines)")
      #expect(child.outputLines == ["status 3"] && child.errorLines.contains("the reason"), "\(child.lastLines)")
      #expect(child.errorLines.first?.contains("(PID 123)") == true, "\(child.lastLines)")
    }
  }

  /// The flags that the script passes on to the server are flags of the server.
  @Test func flagsOfTheServer() throws {
    let help = try ProcessEnd("config-lookup-server", ["--help"]).output
    let flags = help.compactMap { $0.firstMatch(of: /^  (--[a-z-]+)/).map { String($0.1) } }
    #expect(flags.count > 20)
    let text = try FileManager.default.contentsOfDirectory(
      at: packageRoot.appendingPathComponent("Sources/ConfigLookupServer"), includingPropertiesForKeys: nil
    ).filter { $0.lastPathComponent.hasPrefix("ServerConfiguration") }.map {
      try String(contentsOf: $0, encoding: .utf8)
    }.joined()
    for flag in flags { #expect(text.contains("\"\(flag.dropFirst(2))\""), "script/server would refuse \(flag)") }
  }
}
