// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC

/// The only worker. The fuzzer runs its jobs and timers explicitly.
final class FuzzWorker: RPCWorker {
  // Safe to share: only the fuzzer's thread uses it. The jobs, which other threads add, are behind a lock.
  private final class Timers: @unchecked Sendable {
    var waiting: [FuzzTimer] = []
    var now = MonotonicTime(nanoseconds: 0)
  }

  let index = 0
  private let jobs = Locked<[@Sendable () -> Void]>([])
  private let timers = Timers()

  func execute(_ job: @escaping @Sendable () -> Void) {
    jobs.withLock { $0.append(job) }
  }

  func schedule(after delay: Duration, _ job: @escaping () -> Void) -> any RPCTimer {
    let timer = FuzzTimer(due: now.advanced(by: delay), job)
    timers.waiting.append(timer)
    return timer
  }

  /// The due time of the last timer that has fired.
  var now: MonotonicTime { timers.now }

  var timerCount: Int {
    timers.waiting.removeAll(where: \.isCancelled)
    return timers.waiting.count
  }

  /// Runs the waiting jobs, and the jobs that these add.
  func run() {
    while let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { job() }
  }

  /// Fires every timer that is waiting, but not the timers that their jobs add.
  func fireTimers() {
    let due = timers.waiting
    timers.waiting = []
    timers.now = max(timers.now, due.map(\.due).max() ?? timers.now)
    for timer in due where !timer.isCancelled { timer.job() }
    run()
  }
}

private final class FuzzTimer: RPCTimer {
  let due: MonotonicTime
  let job: () -> Void
  private(set) var isCancelled = false

  init(due: MonotonicTime, _ job: @escaping () -> Void) {
    self.due = due
    self.job = job
  }

  func cancel() { isCancelled = true }
}
