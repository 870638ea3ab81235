// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC

/// The times at which the watches of a worker are due for a PROGRESS. All share one timer. On the worker's thread only.
struct ProgressTimers {
  // Times are nanoseconds of the worker's clock: they are compared in each event-loop iteration.

  /// The maximum time, in nanoseconds, that a PROGRESS waits for the events before it under load.
  private static let longestDelay: UInt64 = 250_000_000

  private let worker: any RPCWorker
  /// Watches that are due within this time, in nanoseconds, after another one are handled together with it.
  private let tolerance: UInt64
  private var sessions = DueHeap<WatchSession>()
  private var timer: (any RPCTimer)?
  private var timerDue = UInt64.max

  init(worker: any RPCWorker, tolerance: Duration) {
    self.worker = worker
    self.tolerance = UInt64(clamping: tolerance.nanoseconds)
  }

  /// Adds a watch, which must not be in the set.
  mutating func add(_ session: WatchSession, after interval: Duration) {
    sessions.insert(session, due: worker.now.nanoseconds + UInt64(clamping: interval.nanoseconds))
    session.isInTimers = true
  }

  /// Removes a watch that has ended.
  mutating func remove(_ session: WatchSession) {
    guard session.isInTimers else { return }
    session.isInTimers = false
    sessions.noteUnwanted()
  }

  /// Takes a watch that is due; nil if there is none, or if it should wait because events are still being delivered
  /// (`isBusy`).
  mutating func next(isBusy: Bool) -> WatchSession? {
    guard let due = sessions.firstDue() else { return nil }
    let now = worker.now.nanoseconds
    guard due <= now + tolerance, !isBusy || due + Self.longestDelay <= now else { return nil }
    let session = sessions.popFirst(upTo: due)
    session?.isInTimers = false
    return session
  }

  /// Schedules `job` for the time when the next watch is due; cancels the timer if there is none.
  mutating func arm(_ job: @escaping () -> Void) {
    guard let due = sessions.firstDue() else {
      timer?.cancel()
      (timer, timerDue) = (nil, .max)
      return
    }
    guard due != timerDue else { return }
    // A timer that fires too early finds nothing to do, and is armed again.
    if timer != nil, timerDue < due { return }
    timer?.cancel()
    timerDue = due
    timer = worker.schedule(after: MonotonicTime(nanoseconds: due).duration(since: worker.now), job)
  }

  /// Notes that the timer has fired. The job must call it.
  mutating func fired() {
    (timer, timerDue) = (nil, .max)
  }
}
