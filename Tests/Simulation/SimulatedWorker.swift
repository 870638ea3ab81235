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
  /// A turn goes on as long as the clock stands still, and no job runs: whatever comes meanwhile, comes within it.
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

  /// A call comes: in the turn that is under way, if there is one.
  func beginCall() {
    if turnBegan != clock.now { endTurn() }
    turnBegan = clock.now
  }

  /// The process was paused in the middle of a turn, before the next calls were read.
  func pauseInTurn() {
    turnBegan = clock.now
  }

  private func endTurn() {
    turnNumber += 1
    for observer in turnObservers { observer.turnEnded() }
    turnObservers = []
  }

  /// Runs what waits, and what that brings: in as many turns as it takes.
  func runJobs() {
    repeat {
      endTurn()
      let due = jobs
      jobs = []
      for job in due { job() }
    } while !jobs.isEmpty
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
    endTurn()
    jobs = []
    timers = []
  }
}
