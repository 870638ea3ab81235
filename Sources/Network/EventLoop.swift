internal import CLibevent
public import Core
internal import Glibc
public import RPC
internal import Synchronization
internal import TLS

/// What lives on a loop and must be closed with it. Loop thread only.
protocol LoopResident: AnyObject {
  func loopStops()
}

/// A thread with a libevent base: connections, listeners and timers live on one, and only its thread touches them.
///
/// Works in turns: wait, handle all that is ready, then flush every connection that was touched, then let go of what
/// was closed. Other threads only reach the inbox.
public final class EventLoop: RPCWorker, @unchecked Sendable {
  // Safe to share: `inbox` and `threadID` guard themselves, what is marked "loop thread" is touched by that thread
  // alone, the rest never changes after `init`.
  public let index: Int
  let counters = CounterTable(count: NetworkCounter.allCases.count)
  /// By ``TLS/TLSFailure/Reason``.
  let handshakeFailures = CounterTable(count: TLSFailure.Reason.allCases.count)
  private let inbox = Locked(Inbox())
  private let threadID = Atomic<UInt>(0)
  private let wakeDescriptor: WakeDescriptor

  let base: OpaquePointer  // loop thread
  let readMemory: UnsafeMutableRawBufferPointer  // loop thread; lent to the connection that reads
  private var wakeEvent: OpaquePointer?  // loop thread
  private var stopping = false  // loop thread
  private var touched: [Connection] = []  // loop thread; to flush when the turn ends
  private var resumed: [Connection] = []  // loop thread; queued, to be resumed in order
  private var buried: [Connection] = []  // loop thread; closed in this turn
  private var residents: [ObjectIdentifier: any LoopResident] = [:]  // loop thread
  private var timers: [ObjectIdentifier: LoopTimer] = [:]  // loop thread
  private var spareBuffers: [ByteQueue] = []  // loop thread
  private var spareBytes = 0  // loop thread; their capacity
  private var workBegan: MonotonicTime?  // loop thread; of this turn
  private var unsettled: [CallMeter] = []  // loop thread
  private var turnObservers: [any RPCTurnObserver] = []  // loop thread
  private var turnCount: UInt64 = 0  // loop thread
  private let turns = DurationTable(rows: 1)
  let account: BufferAccount  // loop thread
  private var thread: OSThread?  // the thread that makes and stops the loop

  private struct Inbox: Sendable {
    var jobs: [@Sendable () -> Void] = []
    var isWoken = false
    var isClosed = false
  }

  init(index: Int, threadName: String? = nil, buffers: BufferBudget = BufferBudget()) throws(NetworkError) {
    let wakeDescriptor = try WakeDescriptor()
    let configuration = event_config_new()
    defer { if let configuration { event_config_free(configuration) } }
    // No lock of libevent's: only the loop's thread touches the base.
    if let configuration { event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue)) }
    guard let configuration, let base = event_base_new_with_config(configuration) else {
      throw NetworkError(.system, "cannot make an event loop: \(systemMessage(errno)); raise the limit of open files")
    }
    self.index = index
    account = BufferAccount(buffers)
    self.wakeDescriptor = wakeDescriptor
    self.base = base
    readMemory = .allocate(byteCount: Limits.smallInputBytes + Limits.readBytes, alignment: 16)
    thread = OSThread(name: threadName ?? "loop-\(index)", urgency: .prompt) { self.run() }
  }

  deinit {
    readMemory.deallocate()
  }

  /// Closes what lives on the loop, and waits for its thread to end. From another thread; once.
  func stop() {
    execute { self.stopping = true }
    thread?.join()
    thread = nil
  }

  /// Whether the caller is on the loop's thread.
  public var isCurrent: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }

  public var buffers: BufferAccount? { account }

  public func execute(_ job: @escaping @Sendable () -> Void) {
    _ = tryExecute(job)
  }

  /// False if the loop has ended, and the job will not run. Any thread.
  func tryExecute(_ job: @escaping @Sendable () -> Void) -> Bool {
    let (isAccepted, wakes) = inbox.withLock { inbox in
      guard !inbox.isClosed else { return (false, false) }
      inbox.jobs.append(job)
      defer { inbox.isWoken = true }
      return (true, !inbox.isWoken)
    }
    if wakes { wakeDescriptor.signal() }
    return isAccepted
  }

  public func schedule(afterSeconds seconds: Double, _ job: @escaping () -> Void) -> any RPCTimer {
    precondition(isCurrent, "timers belong to the loop's thread")
    let timer = LoopTimer(loop: self, base: base, seconds: seconds, job: job)
    timers[ObjectIdentifier(timer)] = timer
    return timer
  }

  func forget(_ timer: LoopTimer) {
    timers[ObjectIdentifier(timer)] = nil
  }

  /// Has those let go that hold the most, soon. Any thread.
  func shedBuffers() {
    execute { self.account.shed() }
  }

  // MARK: Residents, loop thread

  func add(_ resident: any LoopResident) {
    precondition(isCurrent)
    residents[ObjectIdentifier(resident)] = resident
  }

  func remove(_ resident: any LoopResident) {
    residents[ObjectIdentifier(resident)] = nil
  }

  /// Has `connection` flushed when the turn ends; or before, where very many are written to in one turn: what was
  /// written is still in the processor's cache then, and a few buffers do for all of them.
  func touch(_ connection: Connection) {
    if touched.count == Limits.touchedConnections {
      // Whoever writes now has done with these.
      for earlier in touched where !earlier.owesTurnEnd { earlier.flush() }
      touched.removeAll { !$0.isTouched }
    }
    touched.append(connection)
  }

  /// Queues `connection`, to be resumed in a later event-loop iteration.
  func resumeInNextTurn(_ connection: Connection) { resumed.append(connection) }

  /// Keeps a closed connection until the turn ends: it may be somewhere on the stack.
  func bury(_ connection: Connection) { buried.append(connection) }

  func takeBuffer() -> ByteQueue {
    if let buffer = spareBuffers.popLast() {
      spareBytes -= buffer.capacity
      return buffer
    }
    let buffer = ByteQueue()
    _ = buffer.free(atLeast: Limits.writeBufferBytes)
    return buffer
  }

  func giveBack(_ buffer: ByteQueue) {
    guard spareBytes + buffer.capacity <= Limits.keptWriteBytes else { return }
    buffer.dropFirst(buffer.count)
    spareBytes += buffer.capacity
    spareBuffers.append(buffer)
  }

  // MARK: Turns, loop thread

  /// When this turn's work began: what has come since then was not waited for.
  public var turnBegan: MonotonicTime {
    if let workBegan { return workBegan }
    let now = MonotonicTime.now
    workBegan = now
    return now
  }

  public var turn: UInt64? { turnCount }

  /// Notes the time, if this is the turn's first work. To be called by all that libevent calls.
  func beginWork() {
    if workBegan == nil { workBegan = .now }
  }

  /// Has `meter` count what ended in this turn, when its bytes are on their way.
  func settleAtTurnEnd(_ meter: CallMeter) { unsettled.append(meter) }

  public func tellAtTurnEnd(_ observer: any RPCTurnObserver) -> Bool {
    turnObservers.append(observer)
    return true
  }

  /// How long the turns took in which there was something to do. Any thread.
  var turnDurations: DurationCounts { turns.read(0) }

  private func settle() {
    for observer in turnObservers { observer.turnEnded() }
    turnObservers.removeAll(keepingCapacity: true)
    guard let began = workBegan else { return }
    workBegan = nil
    let ended = MonotonicTime.now
    turns.add(nanoseconds: ended.nanoseconds &- began.nanoseconds, to: 0)
    for meter in unsettled { meter.settle(began: began, ended: ended) }
    unsettled.removeAll(keepingCapacity: true)
  }

  private func run() {
    threadID.store(UInt(pthread_self()), ordering: .relaxed)
    // Unretained: this very function frees the event.
    wakeEvent = event_new(
      base, wakeDescriptor.descriptor, Int16(EV_READ | EV_PERSIST), loopWoken, Unmanaged.passUnretained(self).toOpaque()
    )
    event_add(wakeEvent, nil)
    while !stopping {
      event_base_loop(base, resumed.isEmpty ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK)
      resumeConnections()
      endTurn()
      settle()
      turnCount &+= 1
    }
    end()
  }

  /// Resumes queued connections in order until the iteration's time for them is used up, at least one. Connections that
  /// are queued meanwhile are resumed in a later iteration.
  private func resumeConnections() {
    guard !resumed.isEmpty else { return }
    beginWork()
    let end = MonotonicTime.now.nanoseconds + Limits.resumeNanoseconds
    let count = resumed.count
    var done = 0
    repeat {
      resumed[done].resume()
      done += 1
    } while done < count && MonotonicTime.now.nanoseconds < end
    resumed.removeFirst(done)
  }

  /// Calls of a protocol may touch or close other connections: again until nothing is left. Ends, because what a
  /// protocol writes in `flush` is bounded by what its peer takes, and a connection is buried once.
  private func endTurn() {
    while !touched.isEmpty || !buried.isEmpty {
      let toFlush = touched
      touched = []
      for connection in toFlush { connection.flush() }
      let toForget = buried
      buried = []
      for connection in toForget { connection.wasClosed() }
    }
  }

  private func end() {
    runInbox()
    for resident in Array(residents.values) { resident.loopStops() }
    endTurn()
    // What was posted in the meantime may have brought more; after that nothing is taken.
    inbox.withLock { $0.isClosed = true }
    runInbox()
    for resident in Array(residents.values) { resident.loopStops() }
    endTurn()
    settle()
    resumed = []
    for timer in Array(timers.values) { timer.cancel() }
    spareBuffers = []
    if let wakeEvent { event_free(wakeEvent) }
    wakeEvent = nil
    event_base_free(base)
  }

  fileprivate func wake() {
    beginWork()
    wakeDescriptor.clear()
    runInbox()
  }

  private func runInbox() {
    let jobs = inbox.withLock { inbox in
      let jobs = inbox.jobs
      inbox.jobs = []
      inbox.isWoken = false
      return jobs
    }
    for job in jobs { job() }
  }
}

private func loopWoken(_: Int32, _: Int16, _ argument: UnsafeMutableRawPointer?) {
  guard let argument else { return }
  Unmanaged<EventLoop>.fromOpaque(argument).takeUnretainedValue().wake()
}
