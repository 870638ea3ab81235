// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC

/// A worker that runs on the simulation's thread: jobs run on request, in order, and timers when they are due.
// Safe to share: a simulation runs on one thread.
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
  /// The observers of the current event-loop iteration. An iteration lasts while the clock does not advance and no job
  /// runs; everything that arrives meanwhile belongs to it.
  private var iterationObservers: [any RPCIterationObserver] = []
  private var iterationBegan = MonotonicTime(nanoseconds: 0)
  private var iterationNumber: UInt64 = 1

  init(_ clock: SimulatedClock) {
    self.clock = clock
  }

  func execute(_ job: @escaping @Sendable () -> Void) {
    jobs.append(job)
  }

  var now: MonotonicTime { clock.now }

  func schedule(after delay: Duration, _ job: @escaping () -> Void) -> any RPCTimer {
    let timer = Timer(due: clock.now.advanced(by: delay), job)
    timers.append(timer)
    return timer
  }

  var iteration: UInt64? { iterationNumber }

  func observeIterationEnd(_ observer: any RPCIterationObserver) -> Bool {
    iterationObservers.append(observer)
    return true
  }

  /// Begins a call, in the current iteration if there is one.
  func beginCall() {
    if iterationBegan != clock.now { endIteration() }
    iterationBegan = clock.now
  }

  /// The process was paused during an iteration, before the next calls were read.
  func pauseInTurn() {
    iterationBegan = clock.now
  }

  private func endIteration() {
    iterationNumber += 1
    for observer in iterationObservers { observer.onIterationEnd() }
    iterationObservers = []
  }

  /// Runs all waiting jobs and those that they add, in as many iterations as needed.
  func runJobs() {
    repeat {
      endIteration()
      let due = jobs
      jobs = []
      for job in due { job() }
    } while !jobs.isEmpty
  }

  /// Fires the timers that are due.
  func fireTimers() {
    timers.removeAll { $0.isCancelled }
    let due = timers.filter { $0.due <= clock.now }
    timers.removeAll { $0.due <= clock.now }
    for timer in due where !timer.isCancelled { timer.job() }
  }

  /// Releases everything, like a process that ends.
  func clear() {
    endIteration()
    jobs = []
    timers = []
  }
}
