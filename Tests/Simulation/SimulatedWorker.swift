internal import Core
internal import RPC

/// A worker whose thread is the simulation's: jobs run when it says so, in order, and timers when they are due.
// Safe to share: a simulation is one thread.
final class SimulatedWorker: RPCWorker, @unchecked Sendable {
  private final class Timer: RPCTimer {
    let due: MonotonicTime
    let job: () -> Void
    var isCancelled = false

    init(due: MonotonicTime, _ job: @escaping () -> Void) {
      self.due = due
      self.job = job
    }

    func cancel() { isCancelled = true }
  }

  let index = 0
  private let clock: SimulatedClock
  private var jobs: [@Sendable () -> Void] = []
  private var timers: [Timer] = []

  init(_ clock: SimulatedClock) {
    self.clock = clock
  }

  func execute(_ job: @escaping @Sendable () -> Void) {
    jobs.append(job)
  }

  func schedule(afterSeconds seconds: Double, _ job: @escaping () -> Void) -> any RPCTimer {
    let timer = Timer(due: clock.now.advanced(bySeconds: seconds), job)
    timers.append(timer)
    return timer
  }

  /// Runs what waits, and what that brings.
  func runJobs() {
    while !jobs.isEmpty { jobs.removeFirst()() }
  }

  /// Fires what is due.
  func fireTimers() {
    timers.removeAll { $0.isCancelled }
    let due = timers.filter { $0.due <= clock.now }
    timers.removeAll { $0.due <= clock.now }
    for timer in due where !timer.isCancelled { timer.job() }
  }

  /// Lets go of everything, as a process that ends.
  func clear() {
    jobs = []
    timers = []
  }
}
