// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Testing

struct TimeTests {
  private func at(_ nanoseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: nanoseconds) }

  @Test func movesByWholeAndBrokenSeconds() {
    #expect(at(5).advanced(bySeconds: 1) == at(1_000_000_005))
    #expect(at(2_000_000_000).advanced(bySeconds: -1.5) == at(500_000_000))
    #expect(at(7).advanced(bySeconds: 0) == at(7))
  }

  @Test func stopsAtTheEndsOfTheClock() {
    #expect(at(5).advanced(bySeconds: -1) == at(0))
    #expect(at(.max).advanced(bySeconds: 1) == at(.max))
    #expect(at(.max - 5).advanced(bySeconds: 1e-9) == at(.max - 4))
    #expect(at(0).advanced(bySeconds: -.infinity) == at(0))
    #expect(at(.max).advanced(bySeconds: .infinity) == at(.max))
    #expect(at(1).advanced(bySeconds: .greatestFiniteMagnitude) > at(1))
    #expect(at(1).advanced(bySeconds: -.greatestFiniteMagnitude) == at(0))
    #expect(at(0).advanced(bySeconds: .infinity).seconds(since: at(0)) > 200 * 365 * 86_400)
  }

  @Test func noNumberIsNoTime() {
    #expect(at(9).advanced(bySeconds: .nan) == at(9))
  }

  @Test func aDifferenceIsNeverNegative() {
    #expect(at(3_500_000_000).seconds(since: at(1_000_000_000)) == 2.5)
    #expect(at(1).seconds(since: at(2)) == 0)
    #expect(at(2_999_999).milliseconds(since: at(1_000_000)) == 1)
    #expect(at(1).milliseconds(since: at(.max)) == 0)
    #expect(at(.max).milliseconds(since: at(0)) == UInt64.max / 1_000_000)
    #expect(at(1) < at(2))
    #expect(!(at(2) < at(2)))
  }

  @Test func nowGoesForward() {
    let first = MonotonicTime.now
    let second = SystemClock().now
    #expect(second >= first)
    #expect(SystemClock().wallNow.milliseconds > 1_700_000_000_000)
  }

  @Test func aRevisionIsSecondsAndIncrement() {
    let revision = Revision(seconds: 0x6543_2100, increment: 7)
    #expect(revision.rawValue == 0x6543_2100_0000_0007)
    #expect(revision.seconds == 0x6543_2100)
    #expect(revision.increment == 7)
    #expect("\(revision)" == "7296712105154052103")
    #expect(Revision(seconds: 1, increment: .max) < Revision(seconds: 2, increment: 0))
    #expect(Revision.none < Revision(1))
    #expect(Revision(seconds: .max, increment: .max) == Revision(.max))
    #expect(!(Revision(3) < Revision(3)))
  }
}
