// SPDX-License-Identifier: Apache-2.0
internal import TestSupport
internal import Testing

/// Each rule can fail, and lets pass what is right.
@Suite struct RulesTests {
  @Test func shortFile() {
    #expect(lines(Rules.shortFile, String(repeating: "\n", count: Rules.fileLinesMax)) == [])
    #expect(lines(Rules.shortFile, String(repeating: "\n", count: Rules.fileLinesMax + 1)).count == 1)
  }

  @Test func shortLines() {
    #expect(lines(Rules.shortLines, "ok\n" + String(repeating: "é", count: 120)) == [])
    #expect(lines(Rules.shortLines, "ok\n" + String(repeating: "e", count: 121)) == [2])
  }

  @Test func shortFunctions() {
    let body = { (count: Int) in String(repeating: "  call(\"}\") // }\n", count: count) }
    #expect(lines(Rules.shortFunctions, "func f(\n  a: Int = { 1 }()\n) {\n" + body(70) + "}\n") == [])
    #expect(lines(Rules.shortFunctions, "\n  public static func f() {\n" + body(80) + "}\n") == [2])
    #expect(lines(Rules.shortFunctions, "init?(a: Int) {\n" + body(80) + "}\n") == [1])
    #expect(lines(Rules.shortFunctions, "func required()\nvar a: Int { get }\n}\nlet b = {\n" + body(90) + "}\n") == [])
  }

  @Test(arguments: ["try! f()", "let a = b as! C", "fatalError(\"no\")", "x = \"\\(try! f())\""])
  func noTraps(code: String) {
    #expect(lines(Rules.noTraps, "let fine = 1\n" + code) == [2])
  }

  @Test func noTrapsInText() {
    let text = "// try! it\nlet a = \"fatalError(\"\nlet b = #\"as! \"# + \"\"\"\n  try! x\n  \"\"\""
    #expect(lines(Rules.noTraps, text) == [])
  }

  @Test(arguments: ["Locked<() -> Void>", "Locked<(@Sendable (Int) -> [Int])?>(nil)", "Mutex<@Sendable () -> Void>"])
  func noFunctionInALock(type: String) {
    #expect(lines(Rules.noFunctionInALock, "let a = \(type)") == [1])
    #expect(lines(Rules.noFunctionInALock, "let a = Locked<[() -> Void]>, b = Locked<(now: Int, then: Int)>") == [])
  }

  @Test(arguments: ["final class A: @unchecked Sendable {", "nonisolated(unsafe) var a = 1"])
  func reasonForUnchecked(code: String) {
    #expect(lines(Rules.reasonForUnchecked, code) == [1])
    #expect(lines(Rules.reasonForUnchecked, "// An animal.\n" + code) == [2])
    #expect(lines(Rules.reasonForUnchecked, code + "\n// Safe to share: it never changes.") == [])
    #expect(lines(Rules.reasonForUnchecked, code + "\n\n\n\n// Safe to share: it never changes.") == [1])
  }

  @Test func noLooseEnds() {
    #expect(lines(Rules.noLooseEnds, "mktemp x." + "XX" + "XXXX\n// TO" + "DO: later\n# X" + "XX") == [2, 3])
  }

  @Test(arguments: ["ho" + "me", "wo" + "rk", "Us" + "ers"])
  func noMachinePaths(folder: String) {
    #expect(lines(Rules.noMachinePaths, "cd \"$HOME\"\ncd /\(folder)/me") == [2])
  }

  @Test(arguments: ["// Told by some" + "body.", "/// So ma" + "ny bytes, or so ma" + "ny more."])
  func ordinaryTerms(comment: String) {
    #expect(lines(Rules.ordinaryTerms, "// A comment.\n" + comment) == [2])
  }

  @Test func license() {
    let line = "// SPDX-License-" + "Identifier: Apache-2.0"
    #expect(lines(Rules.license, line + "\nimport A") == [])
    #expect(lines(Rules.license, "// swift-tools-version: 6.2\n" + line) == [])
    #expect(lines(Rules.license, "import A\nimport B\n" + line) == [1])
  }

  @Test func completeDocumentation() {
    func lines(_ text: String) -> [Int] { self.lines(DocumentationRule.breaches, text) }
    #expect(lines("public struct A {\n  package let b: Int\n") == [1, 2])
    #expect(lines("/// An A.\n@frozen\npublic struct A {\n") == [])
    #expect(lines("struct A {\n  let a = 1\npublic import ConfigLookupCore\npublic extension A {") == [])
    let function = "public func f(_ a: Int, to b: [Int: (Int) -> Int]) throws(E) -> Int {\n"
    let summary = "/// Adds.\n///\n"
    let rest = "/// - Returns: the sum.\n/// - Throws: an error.\n"
    #expect(lines(summary + "/// - Parameters:\n///   - a: a number.\n///   - b: others.\n" + rest + function) == [])
    #expect(lines(summary + "/// - Parameter a: a number.\n" + rest + function) == [6])
    #expect(lines(summary + "/// - Returns: the sum.\n" + function) == [4])
    #expect(lines("/// Whether it is so.\npublic func f() -> Bool {\n") == [])
    #expect(lines("/// Makes one.\npublic init(\n  a: Int\n) throws {\n") == [2])
  }

  private func lines(_ rule: (SourceFile) -> [Breach], _ text: String) -> [Int] {
    rule(SourceFile(path: "Sources/ConfigLookupCore/Example.swift", text: text)).map(\.line)
  }
}
