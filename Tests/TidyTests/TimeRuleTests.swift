// SPDX-License-Identifier: Apache-2.0
internal import TestSupport
internal import Testing

/// Times are `Duration`s, and the rule that says so can fail.
@Suite struct TimeRuleTests {
  @Test func timesAreDurations() { expectNone(SourceTree.sources.flatMap(TimeRule.breaches)) }

  @Test func eachExceptionIsNeeded() {
    for (path, exception) in TimeRule.exceptions {
      let file = SourceTree.sources.first { $0.path == "Sources/\(path)" }
      let found = Set(file.map { TimeRule.numbers(in: $0).map(\.name) } ?? [])
      #expect(exception.names.isSubset(of: found), "\(path): \(exception.names.subtracting(found).sorted())")
    }
  }

  @Test(arguments: [
    "  public var idleSeconds = 0.0", "let limitSeconds: Double", "  var pause: Int, waitMilliseconds: Int64?",
    "func wait(seconds: Double) {", "func schedule(afterSeconds delay: Int, afterSeconds: UInt32)",
    "func seconds(since time: MonotonicTime) -> Double {", "func ageMilliseconds(\n  of a: A\n) -> UInt64 {",
    "  private static let backoffMilliseconds: [Int64]", "static let intervalSeconds = -1",
  ])
  func numbersAreFound(code: String) {
    #expect(lines(code) == [1])
    #expect(lines("// A comment.\n" + code) == [2])
  }

  @Test(arguments: [
    "var idleTimeout = Duration.zero", "WallTime(milliseconds: Int64(time) * 1000)", "let wait: Duration = .seconds(1)",
    "// var idleSeconds = 0.0",
    "let text = \"idleSeconds: Double\"", "let iterationNanoseconds: UInt64 = 250_000", "f(seconds: limit)",
    "let seconds = duration.seconds", "func milliseconds(_ name: String) -> Duration? {",
    "func secondsText(of count: Int) -> String {", "for seconds in [1, 2] as [Int] {",
  ])
  func othersAreNot(code: String) {
    #expect(lines(code) == [])
  }

  @Test func exceptionsHoldInTheirFileOnly() {
    let text = "public var timeoutSeconds: Int32\n"
    #expect(lines(text, "Sources/ConfigModels/SourceConfigDocument.swift") == [])
    #expect(lines(text, "Sources/ConfigModels/AgentConfigDocument.swift") == [1])
  }

  private func lines(_ text: String, _ path: String = "Sources/ConfigLookupCore/Example.swift") -> [Int] {
    TimeRule.breaches(SourceFile(path: path, text: text)).map(\.line)
  }
}
