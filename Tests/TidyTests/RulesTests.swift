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

  @Test func documented() {
    #expect(lines(documented, "public struct A {\n  public static func make() {}\n") == [1, 2])
    #expect(lines(documented, "/// An A.\n@frozen\npublic struct A {\n") == [])
    #expect(lines(documented, "public static func < (a: A, b: A)\npublic func hash(into h: inout Hasher)") == [])
    #expect(lines(documented, "/// Readers.\nextension A {\n  public func one() {}\n") == [])
    #expect(lines(documented, "/// An A.\npublic struct A {\n  public func one() {}\n") == [3])
    #expect(lines(documented, "public func explained() {}") == [])
    #expect(lines(documented, "struct A {\n  let a = 1") == [])
  }

  private func documented(_ file: SourceFile) -> [Breach] {
    Rules.documented(file, explained: ["explained"])
  }

  private func lines(_ rule: (SourceFile) -> [Breach], _ text: String) -> [Int] {
    rule(SourceFile(path: "Sources/Core/Example.swift", text: text)).map(\.line)
  }
}
