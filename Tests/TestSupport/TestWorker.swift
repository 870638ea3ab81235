// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupRPC

/// A worker that runs on the test's thread: jobs run on request, in order, and timers when the test advances the time.
public final class TestWorker: RPCWorker {
  // Safe to share: jobs are locked; only the test's thread uses the rest.
  private final class Timers: @unchecked Sendable {
    var waiting: [TestTimer] = []
    var now = MonotonicTime(nanoseconds: 0)
    var account: BufferAccount?
    var iterationCount: UInt64 = 0
    var iteration: UInt64?
    var iterationObservers: [any RPCIterationObserver] = []
  }

  /// The index of the worker.
  public let index: Int
  private let jobs = Locked<[@Sendable () -> Void]>([])
  private let timers = Timers()

  /// Creates a worker.
  ///
  /// - Parameter index: the index of the worker.
  public init(index: Int = 0) {
    self.index = index
  }

  /// Adds a job to the queue. Any thread may call it.
  ///
  /// - Parameter job: the job.
  public func execute(_ job: @escaping @Sendable () -> Void) {
    jobs.withLock { $0.append(job) }
  }

  /// The current time, which begins at 0.
  public var now: MonotonicTime { timers.now }

  /// Schedules a job.
  ///
  /// - Parameters:
  ///   - delay: the time from now.
  ///   - job: the job.
  /// - Returns: the timer, which can be cancelled.
  public func schedule(after delay: Duration, _ job: @escaping () -> Void) -> any RPCTimer {
    let timer = TestTimer(due: timers.now.advanced(by: delay), job)
    timers.waiting.append(timer)
    return timer
  }

  /// The number of the current event-loop iteration; nil outside of ``turn(_:)``.
  public var iteration: UInt64? { timers.iteration }

  /// Registers an observer of the end of the current event-loop iteration.
  ///
  /// - Parameter observer: the observer.
  /// - Returns: false outside of ``turn(_:)``.
  public func observeIterationEnd(_ observer: any RPCIterationObserver) -> Bool {
    guard timers.iteration != nil else { return false }
    timers.iterationObservers.append(observer)
    return true
  }

  /// Runs a closure as one event-loop iteration.
  ///
  /// - Parameter body: the closure.
  /// - Returns: the closure's result.
  /// - Throws: the closure's error.
  public func runIteration<Result>(_ body: () throws -> Result) rethrows -> Result {
    timers.iterationCount += 1
    timers.iteration = timers.iterationCount
    defer {
      timers.iteration = nil
      for observer in timers.iterationObservers { observer.onIterationEnd() }
      timers.iterationObservers = []
    }
    return try body()
  }

  /// Runs all queued jobs and those that they add.
  public func run() {
    while let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { job() }
  }

  /// Runs the first queued job, as one event-loop iteration does with a slice of work, and none of the jobs that it
  /// adds.
  ///
  /// - Returns: false if there is none.
  @discardableResult
  public func runNext() -> Bool {
    guard let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return false }
    job()
    return true
  }

  /// Advances the time and fires the timers that become due, in order.
  ///
  /// - Parameter duration: the time.
  public func advance(by duration: Duration) {
    let end = timers.now.advanced(by: duration)
    while let next = timers.waiting.filter({ !$0.isCancelled && $0.due <= end }).min(by: { $0.due < $1.due }) {
      timers.waiting.removeAll { $0 === next || $0.isCancelled }
      timers.now = next.due
      next.fire()
    }
    timers.now = end
  }

  /// The account of buffered bytes.
  public var buffers: BufferAccount? {
    get { timers.account }
    set { timers.account = newValue }
  }

  /// The number of active timers.
  public var timerCount: Int { timers.waiting.filter { !$0.isCancelled }.count }
}

final class TestTimer: RPCTimer {
  let due: MonotonicTime
  private(set) var isCancelled = false
  private let job: () -> Void

  init(due: MonotonicTime, _ job: @escaping () -> Void) {
    self.due = due
    self.job = job
  }

  func fire() { job() }
  func cancel() { isCancelled = true }
}
