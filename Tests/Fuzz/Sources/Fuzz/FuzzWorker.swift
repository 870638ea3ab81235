internal import Core
internal import RPC

/// The one worker: jobs and timers run when the fuzzer says so.
final class FuzzWorker: RPCWorker {
  // Safe to share: touched on the fuzzer's thread only; jobs, which others give, are locked.
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

  func schedule(afterSeconds seconds: Double, _ job: @escaping () -> Void) -> any RPCTimer {
    let timer = FuzzTimer(due: now.advanced(bySeconds: seconds), job)
    timers.waiting.append(timer)
    return timer
  }

  /// When the last timer that has fired was due.
  var now: MonotonicTime { timers.now }

  var timerCount: Int {
    timers.waiting.removeAll(where: \.isCancelled)
    return timers.waiting.count
  }

  /// Runs what waits, and what that brings.
  func run() {
    while let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { job() }
  }

  /// Fires every timer that waits now; not those that this brings.
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
