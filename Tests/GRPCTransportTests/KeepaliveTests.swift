// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import Testing

@testable import GRPCTransport

/// Tests of the actions of the keepalive at certain times, in seconds after the start.
struct KeepaliveTests {
  private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

  private func at(_ seconds: Double) -> MonotonicTime { start.advanced(by: .seconds(seconds)) }

  private func keepalive() -> Keepalive {
    var limits = GRPCLimits()
    limits.keepaliveTime = .seconds(60)
    limits.keepaliveTimeout = .seconds(20)
    limits.minimumPingInterval = .seconds(10)
    limits.pingStrikes = 2
    return Keepalive(limits: limits, now: start)
  }

  @Test func asksAndCloses() {
    var keepalive = keepalive()
    #expect(keepalive.tick(at(59)) == .none)
    #expect(keepalive.tick(at(60)) == .ping)
    // The PING is sent once.
    #expect(keepalive.tick(at(61)) == .none)
    #expect(keepalive.tick(at(79)) == .none)
    #expect(keepalive.tick(at(80)) == .close)
  }

  @Test func whoeverIsHeardOfIsNotAsked() {
    var keepalive = keepalive()
    keepalive.heard(at(50))
    #expect(keepalive.tick(at(109)) == .none)
    #expect(keepalive.tick(at(110)) == .ping)
    keepalive.heard(at(129))
    #expect(keepalive.tick(at(130)) == .none)
    #expect(keepalive.tick(at(188)) == .none)
    #expect(keepalive.tick(at(189)) == .ping)
  }

  @Test func pingsAheadOfTheirTimeAreCounted() {
    var keepalive = keepalive()
    let tooMany = [0, 10, 19, 28, 37].map { keepalive.pinged(at($0)) }
    #expect(tooMany == [false, false, false, false, true])
  }

  @Test func whoGetsRepliesMayPing() {
    var keepalive = keepalive()
    for second in 0..<100 {
      let tooMany = [0, 0.1, 0.2].map { keepalive.pinged(at(Double(second) + $0)) }
      #expect(tooMany == [false, false, false])
      keepalive.replied()
    }
    let tooMany = [100, 101, 102, 103].map { keepalive.pinged(at($0)) }
    #expect(tooMany == [false, false, false, true])
  }
}
