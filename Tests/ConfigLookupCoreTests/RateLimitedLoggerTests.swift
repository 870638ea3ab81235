// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import TestSupport
import Testing

struct RateLimitedLoggerTests {
  @Test func eachReasonHasItsLinesAndSaysWhatWasLeftOut() throws {
    let log = CapturedLog(level: .info)
    let logger = RateLimitedLogger(log.logger, budget: LineBudget(lines: 2, period: .milliseconds(200)))
    let before = RateLimitedLogger.suppressedLines
    for _ in 0..<10 {
      logger.log(.warning, "flood", reason: "a", "a line")
      logger.log(.debug, "quiet", reason: "b", "below the level")
    }
    logger.log(.warning, "flood", reason: "c", "a line", ["x": 1])
    #expect(log.lines(event: "flood").count == 3 && log.lines(event: "quiet").isEmpty)
    #expect(RateLimitedLogger.suppressedLines - before >= 8)
    #expect(log.lines.last?.hasSuffix("\"x\":1,\"suppressed\":0}") == true)
    try poll("the next one says how many were left out") {
      logger.log(.warning, "flood", reason: "a", "a line")
      return log.lines(event: "flood").contains { line in (8...).contains(suppressed(line)) }
    }
  }

  private func suppressed(_ line: String) -> Int {
    line.firstMatch(of: /"suppressed":(\d+)/).flatMap { Int($0.1) } ?? -1
  }
}
