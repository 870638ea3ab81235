// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Testing

struct TimeTests {
  private func at(_ nanoseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: nanoseconds) }

  @Test func movesByWholeAndFractionalSeconds() {
    #expect(at(5).advanced(by: .seconds(1)) == at(1_000_000_005))
    #expect(at(2_000_000_000).advanced(by: .seconds(-1.5)) == at(500_000_000))
    #expect(at(7).advanced(by: .zero) == at(7))
  }

  /// The longest durations that there are: 2^127 attoseconds in both directions.
  private static let longest = Duration(attoseconds: .max)
  private static let shortest = Duration(attoseconds: .min)

  @Test func stopsAtTheEndsOfTheClock() {
    #expect(at(5).advanced(by: .seconds(-1)) == at(0))
    #expect(at(.max).advanced(by: .seconds(1)) == at(.max))
    #expect(at(.max - 5).advanced(by: .nanoseconds(1)) == at(.max - 4))
    #expect(at(0).advanced(by: Self.shortest) == at(0))
    #expect(at(.max).advanced(by: Self.longest) == at(.max))
    #expect(at(1).advanced(by: Self.longest) > at(1))
    #expect(at(1).advanced(by: Self.shortest) == at(0))
    #expect(at(0).advanced(by: Self.longest).duration(since: at(0)) > .seconds(200 * 365 * 86_400))
  }

  @Test func everyDurationIsANumber() {
    #expect(Duration.milliseconds(1500).seconds == 1.5)
    #expect(Duration.seconds(-1.5).milliseconds == -1500)
    #expect(Duration.microseconds(1999).milliseconds == 1)
    #expect(Duration.seconds(0.57).seconds == 0.57 && Duration.seconds(-0.57).seconds == -0.57)
    #expect(Duration.zero.nanoseconds == 0 && Duration.nanoseconds(7).nanoseconds == 7)
    for duration in [Self.longest, Self.shortest] {
      let limit: Int64 = duration > .zero ? .max : .min
      #expect(duration.nanoseconds == limit)
      #expect(duration.milliseconds == limit)
      #expect(abs(duration.seconds) > 200 * 365 * 86_400)
    }
  }

  @Test func everyNumberOfSecondsIsADuration() {
    #expect(Duration(clampingSeconds: 0.25) == .milliseconds(250))
    for hundredths in 1...1000 {
      let duration = Duration(clampingSeconds: Double(hundredths) / 100)
      #expect(duration == .milliseconds(10 * hundredths) && duration.seconds == Double(hundredths) / 100)
    }
    #expect(Duration(clampingSeconds: .nan) == .zero)
    #expect(Duration(clampingSeconds: 1e300) == Duration(clampingSeconds: .infinity))
    #expect(Duration(clampingSeconds: 1e300) > .seconds(200 * 365 * 86_400))
    #expect(Duration(clampingSeconds: -1e300) == .zero - Duration(clampingSeconds: .infinity))
  }

  @Test func aDifferenceIsNeverNegative() {
    #expect(at(3_500_000_000).duration(since: at(1_000_000_000)) == .milliseconds(2500))
    #expect(at(1).duration(since: at(2)) == .zero)
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
