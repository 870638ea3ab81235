// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import Testing

struct FloodGuardTests {
  private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

  @Test func isExhaustedByMoreThanItHas() {
    var guardian = FloodGuard(maximum: 100, perSecond: 10, now: start)
    guardian.spend(100)
    #expect(!guardian.isExhausted)
    guardian.spend(1)
    #expect(guardian.isExhausted)
  }

  @Test func earnsByTimeAndByReplies() {
    var guardian = FloodGuard(maximum: 100, perSecond: 10, now: start)
    guardian.spend(110)
    guardian.refill(start.advanced(by: .milliseconds(950)))
    #expect(guardian.isExhausted)
    guardian.refill(start.advanced(by: .seconds(1)))
    #expect(!guardian.isExhausted)
    guardian.spend(FloodGuard.earnedByReply)
    guardian.earn()
    #expect(!guardian.isExhausted)
    guardian.spend(1)
    #expect(guardian.isExhausted)
  }

  /// Intervals that are too short to earn a whole credit add up.
  @Test func timeIsNotLostBetweenLooks() {
    var guardian = FloodGuard(maximum: 100, perSecond: 10, now: start)
    guardian.spend(110)
    for step in 1...100 { guardian.refill(start.advanced(by: .milliseconds(11 * step))) }
    #expect(!guardian.isExhausted)
  }

  @Test func savesNoMoreThanItsMaximum() {
    var guardian = FloodGuard(maximum: 100, perSecond: 10, now: start)
    for _ in 0..<1000 { guardian.earn() }
    guardian.refill(start.advanced(by: .seconds(1000)))
    guardian.spend(101)
    #expect(guardian.isExhausted)
    // The time without frames before the first one earns no additional credit.
    guardian.refill(start.advanced(by: .milliseconds(1_000_050)))
    #expect(guardian.isExhausted)
  }
}
