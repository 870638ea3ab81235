// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import TestSupport
internal import Testing

struct ThreadTests {
  @Test func manyThreadsOneAtATime() {
    let counter = Locked(0)
    let threads = (0..<8).map { index in
      OSThread(name: "count-\(index)") {
        for _ in 0..<10_000 {
          counter.withLock { value in
            let read = value
            value = read + 1
          }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(counter.withLock { $0 } == 80_000)
  }

  /// The scheduling attributes of a thread, see sched(7) and proc(5): policy 3 is SCHED_BATCH.
  @Test(arguments: [(OSThread.Urgency.usual, 0, 0), (.patient, 3, 5), (.background, 3, 10)])
  func urgencyIsTheThreadsOwn(urgency: OSThread.Urgency, policy: Int, niceness: Int) throws {
    let seen = Locked<[String]>([])
    let thread = OSThread(name: "urgency", urgency: urgency) {
      let stat = (try? String(contentsOfFile: "/proc/thread-self/stat", encoding: .utf8)) ?? ""
      seen.withLock { $0 = stat.split(separator: ")").last?.split(separator: " ").map(String.init) ?? [] }
    }
    thread.join()
    // Fields 19 and 41; the first of these fields is field 3.
    let fields = seen.withLock { $0 }
    try #require(fields.count > 38)
    let own = Int(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0))
    #expect(Int(fields[16]) == max(own, niceness), "whoever runs the test may be nice already")
    #expect(Int(fields[38]) == policy)
  }

  @Test func anErrorFreesTheLock() {
    let locked = Locked(1)
    #expect(throws: TestFailure.self) { try locked.withLock { _ in throw TestFailure("on purpose") } }
    #expect(locked.withLock { $0 } == 1)
  }

  @Test func aSignalWakesEveryWaiter() {
    let gate = Locked(false)
    let passed = Locked(0)
    let threads = (0..<4).map { index in
      OSThread(name: "wait-\(index)") {
        let result = gate.wait(until: .now.advanced(by: .seconds(30))) { $0 ? "open" : nil }
        if result == "open" { passed.withLock { $0 += 1 } }
      }
    }
    usleep(20_000)
    #expect(passed.withLock { $0 } == 0, "the gate is closed")
    let start = MonotonicTime.now
    gate.withLock { $0 = true }
    gate.signal()
    for thread in threads { thread.join() }
    #expect(passed.withLock { $0 } == 4)
    #expect(MonotonicTime.now.duration(since: start) < .seconds(20), "woken, not timed out")
  }

  @Test func aWaitEndsAtItsDeadline() {
    let locked = Locked(0)
    let start = MonotonicTime.now
    var asked = 0
    let result: Int? = locked.wait(until: start.advanced(by: .milliseconds(50))) { _ in
      asked += 1
      return nil
    }
    #expect(result == nil)
    #expect(MonotonicTime.now.duration(since: start) >= .milliseconds(50))
    #expect(asked >= 2, "asked at the beginning and at the end")
    #expect(locked.wait(until: MonotonicTime(nanoseconds: 0)) { $0 } == 0, "what is there needs no waiting")
  }

  @Test func producersAndConsumersLoseNothing() {
    let queue = Locked<[Int]>([])
    let sum = Locked(0)
    let consumers = (0..<3).map { index in
      OSThread(name: "consume-\(index)") {
        while let item = queue.wait(until: .now.advanced(by: .seconds(30)), { $0.isEmpty ? nil : $0.removeFirst() }),
          item > 0
        {
          sum.withLock { $0 += item }
        }
      }
    }
    let producers = (0..<3).map { index in
      OSThread(name: "produce-\(index)") {
        for item in 1...1000 {
          queue.withLock { $0.append(item) }
          queue.signal()
        }
      }
    }
    for thread in producers { thread.join() }
    queue.withLock { $0 += [0, 0, 0] }
    queue.signal()
    for thread in consumers { thread.join() }
    #expect(sum.withLock { $0 } == 3 * 500_500)
  }

  @Test func aThreadHasAName() {
    let name = Locked("")
    OSThread(name: "a-name-that-is-too-long") {
      let text = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
      name.withLock { $0 = text ?? "" }
    }.join()
    #expect(name.withLock { $0 } == "a-name-that-is-\n")
  }

  @Test func aThreadThatNobodyJoinedIsABug() async {
    await #expect(processExitsWith: .failure) {
      _ = OSThread(name: "lost") {}
    }
  }
}
