internal import Core
internal import RPC

/// When each watch of a worker is due for a PROGRESS: all share one timer. On the worker's thread only.
struct ProgressTimers {
  /// Under load a PROGRESS waits so long for the events before it, at most.
  private static let patienceNanoseconds: UInt64 = 250_000_000

  private let worker: any RPCWorker
  /// Watches that are due so soon after another are told together with it.
  private let toleranceNanoseconds: UInt64
  private var sessions = DueHeap<WatchSession>()
  private var timer: (any RPCTimer)?
  private var timerDue = UInt64.max

  init(worker: any RPCWorker, tolerance: Duration) {
    self.worker = worker
    toleranceNanoseconds = tolerance.nanoseconds
  }

  /// Adds a watch, which must not be among them.
  mutating func add(_ session: WatchSession, after interval: Duration) {
    sessions.insert(session, due: worker.now.nanoseconds + interval.nanoseconds)
    session.isInTimers = true
  }

  /// To be called for a watch that has ended.
  mutating func remove(_ session: WatchSession) {
    guard session.isInTimers else { return }
    session.isInTimers = false
    sessions.noteUnwanted()
  }

  /// Takes a watch that is due; nil if there is none, or none that must not wait for what `isBusy` says is under way.
  mutating func next(isBusy: Bool) -> WatchSession? {
    guard let due = sessions.firstDue() else { return nil }
    let now = worker.now.nanoseconds
    guard due <= now + toleranceNanoseconds, !isBusy || due + Self.patienceNanoseconds <= now else { return nil }
    let session = sessions.popFirst(upTo: due)
    session?.isInTimers = false
    return session
  }

  /// Sees to it that `job` runs when the next watch is due, and that no timer runs where there is none.
  mutating func arm(_ job: @escaping () -> Void) {
    guard let due = sessions.firstDue() else {
      timer?.cancel()
      (timer, timerDue) = (nil, .max)
      return
    }
    guard due != timerDue else { return }
    // One that is due too early finds nothing to do, and is armed again.
    if timer != nil, timerDue < due { return }
    timer?.cancel()
    timerDue = due
    timer = worker.schedule(afterSeconds: MonotonicTime(nanoseconds: due).seconds(since: worker.now), job)
  }

  /// To be called by the job.
  mutating func fired() {
    (timer, timerDue) = (nil, .max)
  }
}
