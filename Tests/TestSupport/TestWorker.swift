public import Core
public import RPC

/// A worker whose thread is the test's: jobs run when the test says so, in order, and timers when it moves the time.
public final class TestWorker: RPCWorker {
  // Safe to share: jobs are locked; the rest is touched on the test's thread only.
  private final class Timers: @unchecked Sendable {
    var waiting: [TestTimer] = []
    var now = 0.0
    var account: BufferAccount?
    var turnCount: UInt64 = 0
    var turn: UInt64?
    var turnObservers: [any RPCTurnObserver] = []
  }

  public let index: Int
  private let jobs = Locked<[@Sendable () -> Void]>([])
  private let timers = Timers()

  public init(index: Int = 0) {
    self.index = index
  }

  public func execute(_ job: @escaping @Sendable () -> Void) {
    jobs.withLock { $0.append(job) }
  }

  public var now: MonotonicTime { MonotonicTime(nanoseconds: 0).advanced(bySeconds: timers.now) }

  public func schedule(afterSeconds seconds: Double, _ job: @escaping () -> Void) -> any RPCTimer {
    let timer = TestTimer(due: timers.now + seconds, job)
    timers.waiting.append(timer)
    return timer
  }

  /// Nil outside of ``turn(_:)``.
  public var turn: UInt64? { timers.turn }

  public func tellAtTurnEnd(_ observer: any RPCTurnObserver) -> Bool {
    guard timers.turn != nil else { return false }
    timers.turnObservers.append(observer)
    return true
  }

  /// Runs `body` as one turn of its own.
  public func turn<Result>(_ body: () throws -> Result) rethrows -> Result {
    timers.turnCount += 1
    timers.turn = timers.turnCount
    defer {
      timers.turn = nil
      for observer in timers.turnObservers { observer.turnEnded() }
      timers.turnObservers = []
    }
    return try body()
  }

  /// Runs what waits, and what that brings.
  public func run() {
    while let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { job() }
  }

  /// Runs the first job that waits, as one event-loop iteration does with a slice of work, and nothing that it brings.
  ///
  /// - Returns: false if there is none.
  @discardableResult
  public func runNext() -> Bool {
    guard let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return false }
    job()
    return true
  }

  /// Lets time go by: fires what falls due, in order.
  public func advance(seconds: Double) {
    let end = timers.now + seconds
    while let next = timers.waiting.filter({ !$0.isCancelled && $0.due <= end }).min(by: { $0.due < $1.due }) {
      timers.waiting.removeAll { $0 === next || $0.isCancelled }
      timers.now = next.due
      next.fire()
    }
    timers.now = end
  }

  public var buffers: BufferAccount? {
    get { timers.account }
    set { timers.account = newValue }
  }

  /// How many timers wait for their time.
  public var timerCount: Int { timers.waiting.filter { !$0.isCancelled }.count }
}

final class TestTimer: RPCTimer {
  let due: Double
  private(set) var isCancelled = false
  private let job: () -> Void

  init(due: Double, _ job: @escaping () -> Void) {
    self.due = due
    self.job = job
  }

  func fire() { job() }
  func cancel() { isCancelled = true }
}
