// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import TestSupport
internal import Testing

/// What a reader may expect of every file. A rule that fails names the file, the line and what to do.
@Suite struct TidyTests {
  @Test func formatted() throws {
    let lint = ["swift", "format", "lint", "-s", "-r", "Sources", "Tests", "Tools", "Package.swift"]
    let child = try ChildProcess("/usr/bin/env", lint, folder: packageRoot)
    let status = try child.waitForExit(timeout: .seconds(120))
    #expect(status == .exited(0), "run: swift format -i -r Sources Tests Tools Package.swift\n\(child.lastLines)")
  }

  @Test func filesAreShort() { expectNone(SourceTree.swift.flatMap(Rules.shortFile)) }

  @Test func linesAreShort() { expectNone(SourceTree.swift.flatMap(Rules.shortLines)) }

  @Test func functionsAreShort() { expectNone(SourceTree.swift.flatMap(Rules.shortFunctions)) }

  @Test func nothingTraps() { expectNone(SourceTree.sources.flatMap(Rules.noTraps)) }

  @Test func noFunctionIsInALock() { expectNone(SourceTree.swift.flatMap(Rules.noFunctionInALock)) }

  @Test func uncheckedHasAReason() { expectNone(SourceTree.swift.flatMap(Rules.reasonForUnchecked)) }

  @Test func nothingIsLeftToDo() { expectNone(SourceTree.all.flatMap(Rules.noLooseEnds)) }

  @Test func noPathOfAMachine() { expectNone(SourceTree.all.flatMap(Rules.noMachinePaths)) }

  @Test func publicThingsAreExplained() {
    expectNone(SourceTree.sources.flatMap(DocumentationRule.breaches))
  }

  @Test func filesNameTheirLicense() { expectNone(SourceTree.swift.flatMap(Rules.license)) }

  @Test func commentsUseOrdinaryTerms() { expectNone(SourceTree.swift.flatMap(Rules.ordinaryTerms)) }

  @Test func theTreeIsSeen() {
    #expect(SourceTree.sources.count > 20)
    #expect(SourceTree.all.contains { $0.path == "docs/internals/architecture.md" })
  }
}

func expectNone(_ breaches: [Breach], sourceLocation: SourceLocation = #_sourceLocation) {
  for breach in breaches { Issue.record("\(breach)", sourceLocation: sourceLocation) }
}
