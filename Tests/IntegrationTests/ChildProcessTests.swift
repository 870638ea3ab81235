// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Glibc
internal import TestSupport
internal import Testing

@Suite struct ChildProcessTests {
  @Test func givesLinesAndStatus() throws {
    let child = try ChildProcess(
      "/bin/sh", ["-c", "echo \"$GREETING\"; echo oops >&2; exit 3"], environment: ["GREETING": "hi"])
    #expect(try child.waitForLine("a greeting") { $0 == "hi" } == "hi")
    #expect(try child.waitForExit() == .exited(3))
    #expect(child.outputLines == ["hi"])
    #expect(child.errorLines == ["oops"])
  }

  @Test func saysWhichLineNeverCame() throws {
    let child = try ChildProcess("/bin/echo", ["something else"])
    let failure = #expect(throws: TestFailure.self) { try child.waitForLine("the ready line") { $0 == "ready" } }
    #expect(failure?.description.contains("the ready line") == true)
    #expect(failure?.description.contains("something else") == true)
  }

  @Test func stopsWhatDoesNotListen() throws {
    let child = try ChildProcess("/bin/sh", ["-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"])
    try child.waitForLine("up") { $0 == "up" }
    #expect(try child.stop(timeout: .milliseconds(300)) == .signaled(SIGKILL))
  }

  @Test func takesItsChildrenWithIt() throws {
    var child: ChildProcess? = try ChildProcess("/bin/sh", ["-c", "sleep 1000 & echo $!; wait"])
    let line = try #require(child).waitForLine("a number") { Int32($0) != nil }
    let grandchild = try #require(Int32(line))
    #expect(Glibc.kill(grandchild, 0) == 0)
    child = nil
    try poll("the grandchild is gone") { Glibc.kill(grandchild, 0) == -1 }
  }

  @Test func runThrowsWithTheLastLines() throws {
    let failure = #expect(throws: TestFailure.self) {
      try ChildProcess.run("/bin/sh", ["-c", "echo no such thing >&2; exit 1"])
    }
    #expect(failure?.description.contains("no such thing") == true)
  }
}
