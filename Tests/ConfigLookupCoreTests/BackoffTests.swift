// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import TestSupport
internal import Testing

struct BackoffTests {
  @Test func theFirstTryIsAtOnceThenStepsDouble() {
    var backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(10))
    let waits = (0..<10).map { _ in backoff.next(random: 1).seconds }
    let wanted = [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
    #expect(zip(waits, wanted).allSatisfy { abs($0 - $1) < 1e-9 }, "\(waits)")
  }

  @Test func successBeginsAgain() {
    var backoff = Backoff()
    for _ in 0..<5 { _ = backoff.next() }
    backoff.reset()
    #expect(backoff.next() == .zero)
    #expect(backoff.next(random: 1) == .milliseconds(100))
  }

  @Test func aWaitIsBetweenHalfAStepAndAStep() {
    var random = SeededRandom.fresh("aWaitIsBetweenHalfAStepAndAStep")
    var seen: Set<Double> = []
    for _ in 0..<200 {
      var backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(10))
      _ = backoff.next()
      for step in [0.1, 0.2, 0.4, 0.8] {
        let wait = backoff.next(random: .random(in: 0..<1, using: &random)).seconds
        #expect((step / 2..<step).contains(wait))
        seen.insert(wait)
      }
    }
    #expect(seen.count > 700, "jitter")
  }

  @Test func neverPassesTheLimitHoweverManyTries() {
    var backoff = Backoff(initial: .milliseconds(1), maximum: .milliseconds(10))
    for _ in 0..<10_000 { #expect(backoff.next(random: 0.999) <= .milliseconds(10)) }
    #expect(backoff.next(random: 0) == .milliseconds(5))
  }

  @Test func aFirstStepAboveTheLimitIsTheLimit() {
    var backoff = Backoff(initial: .seconds(5), maximum: .seconds(1))
    _ = backoff.next()
    #expect(backoff.next(random: 1) == .seconds(1))
  }

  @Test func theLongestDurationsDoNotOverflow() {
    let longest = Duration(secondsComponent: .max, attosecondsComponent: 0)
    var backoff = Backoff(initial: longest / 3, maximum: longest)
    for _ in 0..<100 { #expect(backoff.next(random: 0.5) <= longest) }
  }
}
