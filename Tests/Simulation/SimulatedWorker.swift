// SPDX-License-Identifier: Apache-2.0
internal import Core
internal import RPC

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
  private var turnObservers: [any RPCTurnObserver] = []
  private var turnBegan = MonotonicTime(nanoseconds: 0)
  private var turnNumber: UInt64 = 1

  init(_ clock: SimulatedClock) {
    self.clock = clock
  }

  func execute(_ job: @escaping @Sendable () -> Void) {
    jobs.append(job)
  }

  var now: MonotonicTime { clock.now }

  func schedule(afterSeconds seconds: Double, _ job: @escaping () -> Void) -> any RPCTimer {
    let timer = Timer(due: clock.now.advanced(bySeconds: seconds), job)
    timers.append(timer)
    return timer
  }

  var turn: UInt64? { turnNumber }

  func tellAtTurnEnd(_ observer: any RPCTurnObserver) -> Bool {
    turnObservers.append(observer)
    return true
  }

  /// Begins a call, in the current iteration if there is one.
  func beginCall() {
    if turnBegan != clock.now { endTurn() }
    turnBegan = clock.now
  }

  /// The process was paused during an iteration, before the next calls were read.
  func pauseInTurn() {
    turnBegan = clock.now
  }

  private func endTurn() {
    turnNumber += 1
    for observer in turnObservers { observer.turnEnded() }
    turnObservers = []
  }

  /// Runs all waiting jobs and those that they add, in as many iterations as needed.
  func runJobs() {
    repeat {
      endTurn()
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
    endTurn()
    jobs = []
    timers = []
  }
}
