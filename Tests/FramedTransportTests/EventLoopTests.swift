// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import Testing

extension SocketTests {
  struct EventLoopTests {
    @Test func jobsRunOnTheLoopInTheirOrder() throws {
      let group = try EventLoopGroup(count: 2)
      let seen = Locked<[Int]>([])
      for number in 0..<1000 {
        group.loops[1].execute { [loop = group.loops[1]] in
          precondition(loop.isCurrent)
          seen.withLock { $0.append(number) }
        }
      }
      // Jobs that were added before the stop are run.
      group.stop()
      #expect(seen.withLock { $0 } == Array(0..<1000))
      group.loops[1].execute { Issue.record("ran after the stop") }
    }

    @Test func timersFireInTheirOrderUnlessCancelled() throws {
      let group = try EventLoopGroup(count: 1)
      defer { group.stop() }
      let loop = group.loops[0]
      let seen = Locked<[Int]>([])
      loop.execute {
        _ = loop.schedule(after: .milliseconds(40)) { seen.withLock { $0.append(3) } }
        _ = loop.schedule(after: .milliseconds(20)) { seen.withLock { $0.append(2) } }
        let cancelled = loop.schedule(after: .milliseconds(30)) { seen.withLock { $0.append(9) } }
        _ = loop.schedule(after: .zero) {
          cancelled.cancel()
          cancelled.cancel()
          seen.withLock { $0.append(1) }
        }
        // This timer is released by the stop.
        _ = loop.schedule(after: .seconds(1000)) { seen.withLock { $0.append(9) } }
      }
      eventually("fired") { seen.withLock { $0.count } == 3 }
      #expect(seen.withLock { $0 } == [1, 2, 3])
    }

    @Test func aStoppedLoopLetsGoOfTimersThatAreHeld() throws {
      final class Holder: @unchecked Sendable {
        // This is safe to share: it is written on the loop's thread, and read after that thread has been joined.
        var timer: (any RPCTimer)?
      }
      let group = try EventLoopGroup(count: 1)
      let loop = group.loops[0]
      let holder = Holder()
      loop.execute { holder.timer = loop.schedule(after: .seconds(1000)) {} }
      group.stop()
      holder.timer?.cancel()
    }
  }
}
