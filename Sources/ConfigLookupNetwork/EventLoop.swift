// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
public import ConfigLookupCore
public import ConfigLookupRPC
internal import ConfigLookupTLS
internal import Glibc
internal import Synchronization

/// An object that belongs to an event loop and must be closed with it. It is used on the loop's thread only.
protocol LoopResident: AnyObject {
  func loopStops()
}

/// A thread with a libevent base. Connections, listeners and timers belong to one loop, and are used by its thread
/// only.
///
/// Each iteration waits for events, handles all that are ready, flushes every connection that was written to, and then
/// releases the connections that were closed. Other threads only add jobs to the inbox.
public final class EventLoop: RPCWorker, @unchecked Sendable {
  // This is safe to share: `inbox` and `threadID` are synchronized, members marked "loop thread" are used by that
  // thread only, and the others are constant after `init`.
  /// The index of the loop in its group.
  public let index: Int
  let counters = CounterTable(count: NetworkCounter.allCases.count)
  /// Number of failed handshakes by ``TLS/TLSFailure/Reason``.
  let handshakeFailures = CounterTable(count: TLSFailure.Reason.allCases.count)
  private let inbox = Locked(Inbox())
  private let threadID = Atomic<UInt>(0)
  private let wakeDescriptor: WakeDescriptor

  let base: OpaquePointer  // loop thread
  let readMemory: UnsafeMutableRawBufferPointer  // loop thread; used by the connection that reads
  private var wakeEvent: OpaquePointer?  // loop thread
  private var stopping = false  // loop thread
  private var touched: [Connection] = []  // loop thread; to be flushed at the end of the iteration
  private var resumed: [Connection] = []  // loop thread; to be resumed in order
  private var deferredReleases: [Connection] = []  // loop thread; closed in this iteration
  private var residents: [ObjectIdentifier: any LoopResident] = [:]  // loop thread
  private var timers: [ObjectIdentifier: LoopTimer] = [:]  // loop thread
  private var spareBuffers: [ByteQueue] = []  // loop thread
  private var spareBytes = 0  // loop thread; total capacity of `spareBuffers`
  private var workBegan: MonotonicTime?  // loop thread; in this iteration
  private var unsettled: [CallMeter] = []  // loop thread
  private var iterationObservers: [any RPCIterationObserver] = []  // loop thread
  private var iterationCount: UInt64 = 0  // loop thread
  private let durations = DurationTable(rows: 1)
  let account: BufferAccount  // loop thread
  private var thread: OSThread?  // used by the thread that creates and stops the loop

  private struct Inbox: Sendable {
    var jobs: [@Sendable () -> Void] = []
    var isWoken = false
    var isClosed = false
  }

  init(index: Int, threadName: String? = nil, buffers: BufferBudget = BufferBudget()) throws(NetworkError) {
    let wakeDescriptor = try WakeDescriptor()
    let configuration = event_config_new()
    defer { if let configuration { event_config_free(configuration) } }
    // libevent needs no lock, because only the loop's thread uses the base.
    if let configuration { event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue)) }
    guard let configuration, let base = event_base_new_with_config(configuration) else {
      throw NetworkError(.system, "cannot make an event loop: \(systemMessage(errno)); raise the limit of open files")
    }
    self.index = index
    account = BufferAccount(buffers)
    self.wakeDescriptor = wakeDescriptor
    self.base = base
    readMemory = .allocate(byteCount: ConnectionLimits.smallInputBytes + ConnectionLimits.readBytes, alignment: 16)
    thread = OSThread(name: threadName ?? "loop-\(index)", urgency: .prompt) { self.run() }
  }

  deinit {
    readMemory.deallocate()
  }

  /// Closes everything that belongs to the loop, and waits for its thread to end. To be called once, from another
  /// thread.
  func stop() {
    execute { self.stopping = true }
    thread?.join()
    thread = nil
  }

  /// Whether the caller runs on the loop's thread. May be read from any thread.
  public var isCurrent: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }

  /// The account of the loop's buffered bytes. To be used on the loop's thread.
  public var buffers: BufferAccount? { account }

  /// Runs a job on the loop's thread, after the jobs that were added before. The job is discarded if the loop has
  /// ended. May be called from any thread.
  ///
  /// - Parameter job: The job.
  public func execute(_ job: @escaping @Sendable () -> Void) {
    _ = tryExecute(job)
  }

  /// Runs a job on the loop's thread. Returns false if the loop has ended, so that the job is discarded. May be called
  /// from any thread.
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

  /// Runs a job on the loop's thread after a delay. To be called on that thread.
  ///
  /// - Parameters:
  ///   - delay: The delay, in whole microseconds.
  ///   - job: The job.
  /// - Returns: The timer, which can be cancelled.
  public func schedule(after delay: Duration, _ job: @escaping () -> Void) -> any RPCTimer {
    precondition(isCurrent, "timers belong to the loop's thread")
    let timer = LoopTimer(loop: self, base: base, delay: delay, job: job)
    timers[ObjectIdentifier(timer)] = timer
    return timer
  }

  func forget(_ timer: LoopTimer) {
    timers[ObjectIdentifier(timer)] = nil
  }

  /// Has the largest holders of bytes release them, soon. May be called from any thread.
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

  /// Schedules a connection to be flushed at the end of the event-loop iteration. If many connections are written to in
  /// one iteration, they are flushed earlier: the bytes are then still in the CPU cache, and a few buffers are enough
  /// for all of the connections.
  func touch(_ connection: Connection) {
    if touched.count == ConnectionLimits.touchedConnections {
      // The connections in this list are not being written to at this time.
      for earlier in touched where !earlier.owesIterationEnd { earlier.flush() }
      touched.removeAll { !$0.isTouched }
    }
    touched.append(connection)
  }

  /// Queues a connection to be resumed in a later event-loop iteration.
  func resumeInNextIteration(_ connection: Connection) { resumed.append(connection) }

  /// Keeps a closed connection until the end of the iteration, because a caller may still be using it.
  func deferRelease(of connection: Connection) { deferredReleases.append(connection) }

  func takeBuffer() -> ByteQueue {
    if let buffer = spareBuffers.popLast() {
      spareBytes -= buffer.capacity
      return buffer
    }
    let buffer = ByteQueue()
    _ = buffer.free(atLeast: ConnectionLimits.writeBufferBytes)
    return buffer
  }

  func release(_ buffer: ByteQueue) {
    guard spareBytes + buffer.capacity <= ConnectionLimits.keptWriteBytes else { return }
    buffer.dropFirst(buffer.count)
    spareBytes += buffer.capacity
    spareBuffers.append(buffer)
  }

  // MARK: Iterations, loop thread

  /// The time at which the work of this event-loop iteration began. To be read on the loop's thread.
  public var iterationBegan: MonotonicTime {
    if let workBegan { return workBegan }
    let now = MonotonicTime.now
    workBegan = now
    return now
  }

  /// The number of the event-loop iteration. To be read on the loop's thread.
  public var iteration: UInt64? { iterationCount }

  /// Records the time, if this is the first work of the iteration. To be called by all callbacks of libevent.
  func beginWork() {
    if workBegan == nil { workBegan = .now }
  }

  /// Has a meter record the calls that ended in this iteration when their replies have been passed to the kernel.
  func settleAtIterationEnd(_ meter: CallMeter) { unsettled.append(meter) }

  /// Notifies an observer once, at the end of this event-loop iteration. To be called on the loop's thread.
  ///
  /// - Parameter observer: The observer.
  /// - Returns: Always true.
  public func observeIterationEnd(_ observer: any RPCIterationObserver) -> Bool {
    iterationObservers.append(observer)
    return true
  }

  /// The durations of the iterations in which there was work. May be read from any thread.
  var iterationDurations: DurationCounts { durations.read(0) }

  private func settle() {
    for observer in iterationObservers { observer.onIterationEnd() }
    iterationObservers.removeAll(keepingCapacity: true)
    guard let began = workBegan else { return }
    workBegan = nil
    let ended = MonotonicTime.now
    durations.add(nanoseconds: ended.nanoseconds &- began.nanoseconds, to: 0)
    for meter in unsettled { meter.settle(began: began, ended: ended) }
    unsettled.removeAll(keepingCapacity: true)
  }

  private func run() {
    threadID.store(UInt(pthread_self()), ordering: .relaxed)
    // The pointer is unretained, because this function itself frees the event.
    wakeEvent = event_new(
      base, wakeDescriptor.descriptor, Int16(EV_READ | EV_PERSIST), loopWoken, Unmanaged.passUnretained(self).toOpaque()
    )
    event_add(wakeEvent, nil)
    while !stopping {
      event_base_loop(base, resumed.isEmpty ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK)
      resumeConnections()
      endIteration()
      settle()
      iterationCount &+= 1
    }
    end()
  }

  /// Resumes queued connections in order until the iteration's time for them is used up, but at least one. Connections
  /// that are queued in the meantime are resumed in a later iteration.
  private func resumeConnections() {
    guard !resumed.isEmpty else { return }
    beginWork()
    let end = MonotonicTime.now.nanoseconds + ConnectionLimits.resumeNanoseconds
    let count = resumed.count
    var done = 0
    repeat {
      resumed[done].resume()
      done += 1
    } while done < count && MonotonicTime.now.nanoseconds < end
    resumed.removeFirst(done)
  }

  /// Repeats until there is nothing left to do, because the calls of a protocol handler may write to or close other
  /// connections. This terminates, because what a handler writes in `flush` is limited by what its peer reads, and a
  /// connection is closed only once.
  private func endIteration() {
    while !touched.isEmpty || !deferredReleases.isEmpty {
      let toFlush = touched
      touched = []
      for connection in toFlush { connection.flush() }
      let toForget = deferredReleases
      deferredReleases = []
      for connection in toForget { connection.wasClosed() }
    }
  }

  private func end() {
    runInbox()
    for resident in Array(residents.values) { resident.loopStops() }
    endIteration()
    // The jobs that were added in the meantime may have created further residents. After that no job is accepted.
    inbox.withLock { $0.isClosed = true }
    runInbox()
    for resident in Array(residents.values) { resident.loopStops() }
    endIteration()
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
