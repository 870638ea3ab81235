// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages

/// An event that a cache sends to its watches.
enum WatchEvent: Sendable {
  case notice(EncodedNotice)
  /// Changes may have been missed; the differences that were found have been announced before this event.
  case gap(ServedEntity)
}

/// The watches and the waiting calls of one worker, and the inbox through which notices reach them.
///
/// All of its work is done in slices of about half a millisecond (``WorkSlice``), one in each event-loop iteration:
/// delivering events to the watches that want them, sending queued notices, sending PROGRESS, and resuming waiting
/// calls. The rest of the work is done in the following iterations, so that lookups never wait for it.
final class WatchShard: @unchecked Sendable {
  // Safe to share: `inbox` is locked; `waiters` documents its own isolation; `attention`, `counters`, `readers` and
  // constants can be read on any thread; the rest is used on the worker's thread only.

  /// A step of the work for watches, in order.
  private enum Step {
    case events([WatchEvent])
    /// Every notice up to these revisions, indexed by ``ServedEntity``, comes before this step.
    case observed([Revision])
    /// The watch sends its queue and ends.
    case end(WatchSession)
  }

  /// An event that is being delivered to the watches that want it.
  private struct Delivery {
    let event: WatchEvent
    /// The number of the event, counted from the first one of this shard.
    let number: Int
    var audience = 0
    /// The sessions of the audience before this index have not received the event yet.
    var session = Int.max
  }

  private static let sessionsPerStep = 32
  private static let itemsPerPump = 32

  let worker: any RPCWorker
  let readers: [CacheReader]
  let counters = WatchCounters()
  let attention = WatchAttention()
  let waiters: RevisionWaiters
  private let epoch: EpochSource
  private let unitsPerSlice: Int
  private(set) var epochGeneration = -1
  /// The encoded field `epoch` of an `InvalidationNotice`.
  private(set) var epochField: [UInt8] = []
  private let inbox = Locked<[[WatchEvent]]>([])

  private var index = WatchFilterIndex()
  private var sessions: [WatchSession] = []
  private var steps = WorkQueue<Step>()
  /// The index of the next event in the first of `steps`.
  private var nextEvent = 0
  private var eventNumber = 0
  private var delivery: Delivery?
  private var audiences: [WatchAudience] = []
  /// Indexed by ``ServedEntity``: every notice up to this revision has been delivered to its watches.
  private var handedOver: [Revision]
  /// Sessions that have something to send and whose connections are writable.
  private var sending = WorkQueue<WatchSession>()
  private var progress: ProgressTimers
  /// The sessions before this index have not been checked yet for permission.
  private var uncheckedSessions = 0
  /// The queues of ended watches, which are released in slices.
  private var leftovers: [WatchQueue] = []

  private var slice: WorkSlice
  private var sliceIteration: UInt64?
  private var isRunning = false
  private var isScheduled = false

  init(
    worker: any RPCWorker, readers: [CacheReader], epoch: EpochSource, waitingCalls: WaitingCallLimit,
    unitsPerSlice: Int, minimumProgressInterval: Duration
  ) {
    self.worker = worker
    self.readers = readers
    self.epoch = epoch
    self.unitsPerSlice = unitsPerSlice
    handedOver = Array(repeating: .none, count: readers.count)
    let attention = attention
    waiters = RevisionWaiters(readers: readers, limit: waitingCalls) { attention.setWaitingKeyCount($0) }
    progress = ProgressTimers(worker: worker, tolerance: max(.milliseconds(1), minimumProgressInterval / 64))
    slice = WorkSlice(now: worker.now, units: unitsPerSlice)
  }

  /// The number of open watches. Any thread.
  var count: Int { attention.sessionCount }

  /// Posts events, from any thread. The first event in an empty inbox wakes the worker.
  func post(_ events: [WatchEvent]) {
    guard attention.isWanted else { return }
    let isFirst = inbox.withLock { inbox in
      inbox.append(events)
      return inbox.count == 1
    }
    if isFirst { worker.execute { self.run() } }
  }

  /// Checks the permission of every watch, including one that is being opened, after the credentials have changed. From
  /// any thread.
  func checkCallers() {
    worker.execute {
      self.uncheckedSessions = self.sessions.count
      self.run()
    }
  }

  /// Resumes waiting calls after an observed revision has advanced. From any thread.
  func wakeWaiters() {
    if waiters.areReady { worker.execute { self.run() } }
  }

  // MARK: Watches. On the worker's thread from here on.

  func refreshEpoch() {
    let generation = epoch.generation
    guard generation != epochGeneration else { return }
    epochGeneration = generation
    epochField = []
    ProtobufWriter.string(7, epoch.current, to: &epochField)
    // The revisions are those of another database.
    handedOver = Array(repeating: .none, count: readers.count)
  }

  /// Adds a watch. It receives every event that has not been delivered yet.
  func add(_ session: WatchSession) {
    refreshEpoch()
    session.epochGeneration = epochGeneration
    session.nextEvent = eventNumber
    session.place = sessions.count
    sessions.append(session)
    attention.setSessionCount(sessions.count)
    let audience = index.audience(for: session.options.filter)
    session.share(audience.filter)
    audience.add(session)
    session.audience = audience
    progress.add(session, after: session.options.progressInterval)
    armTimer()
  }

  /// Removes a watch that has ended. Its queue is released in later slices.
  func remove(_ session: WatchSession, _ leftover: WatchQueue) {
    guard session.place < sessions.count, sessions[session.place] === session else { return }
    let last = sessions.removeLast()
    if last !== session {
      sessions[session.place] = last
      last.place = session.place
    }
    attention.setSessionCount(sessions.count)
    progress.remove(session)
    armTimer()
    if let audience = session.audience {
      audience.remove(session)
      if audience.sessions.isEmpty {
        index.retire(audience)
        continueLater()
      }
    }
    if !leftover.isEmpty {
      leftovers.append(leftover)
      continueLater()
    }
  }

  /// The lowest observed revision of the entities: every notice up to it is in the inbox or has been delivered.
  func observedRevision(of entities: [ServedEntity]) -> Revision {
    entities.map { readers[$0.rawValue].observedRevision }.min() ?? .none
  }

  /// The lowest delivered revision of the entities: every notice up to it has been delivered.
  func handedOverRevision(of entities: [ServedEntity]) -> Revision {
    entities.map { handedOver[$0.rawValue] }.min() ?? .none
  }

  /// Ends a watch after everything that is in the inbox now has been delivered and its queue has been sent.
  func end(_ session: WatchSession) {
    takeInbox()
    steps.append(.end(session))
    run()
  }

  /// Schedules the watch to continue sending.
  func continueSending(_ session: WatchSession) {
    guard !session.isInSendingQueue else { return }
    session.isInSendingQueue = true
    sending.append(session)
    continueLater()
  }

  /// Begins a slice if none is running in this event-loop iteration. Calls that come from a transport must call it
  /// before ``spend(_:)``.
  func beginSlice() {
    if !isRunning { renewSlice() }
  }

  /// Takes units from the slice of this event-loop iteration. Returns false once the slice is over.
  func spend(_ units: Int) -> Bool {
    slice.spend(units, now: worker.now)
    return !slice.isOver
  }

  var buffers: BufferAccount? { worker.buffers }

  // MARK: Slices

  /// Works until the slice of this event-loop iteration is over or nothing is left to do.
  func run() {
    guard !isRunning else { return }
    isRunning = true
    defer { isRunning = false }
    renewSlice()
    takeInbox()
    var hasMore = true
    while hasMore, !slice.isOver {
      // Round-robin, in small steps, so that no kind of work waits for another to finish.
      let checked = checkNextCallers()
      let asked = askNextWaiters()
      let delivered = deliverNext()
      let sent = sendNext()
      let due = fireNextProgress()
      let released = releaseNext()
      hasMore = checked || asked || delivered || sent || due || released
      slice.spend(1, now: worker.now)
    }
    if hasMore { continueLater() } else { armTimer() }
  }

  private func armTimer() {
    progress.arm { [weak self] in
      self?.progress.fired()
      self?.run()
    }
  }

  private func renewSlice() {
    let iteration = worker.iteration
    guard iteration == nil || iteration != sliceIteration else { return }
    sliceIteration = iteration
    slice = WorkSlice(now: worker.now, units: unitsPerSlice)
  }

  private func continueLater() {
    guard !isScheduled else { return }
    isScheduled = true
    worker.execute {
      self.isScheduled = false
      self.run()
    }
  }

  /// Moves the inbox to the steps, followed by the revisions up to which that is complete.
  private func takeInbox() {
    refreshEpoch()
    guard !sessions.isEmpty || waiters.haveKeys else { return inbox.withLock { $0 = [] } }
    // The revisions are read before the inbox: every notice up to them is in it.
    let observed = readers.map(\.observedRevision)
    let batches = inbox.withLock { inbox in
      defer { inbox.removeAll(keepingCapacity: true) }
      return inbox
    }
    for batch in batches { steps.append(.events(batch)) }
    if steps.isEmpty, delivery == nil { handedOver = observed } else { steps.append(.observed(observed)) }
  }

  // MARK: Steps of a slice. Each does a bounded amount of work, and returns whether there was any.

  private func checkNextCallers() -> Bool {
    guard uncheckedSessions > 0 else { return false }
    for _ in 0..<Self.sessionsPerStep {
      // From the end: a session that ends is replaced by one that has been checked already.
      uncheckedSessions = min(uncheckedSessions, sessions.count)
      guard uncheckedSessions > 0 else { break }
      uncheckedSessions -= 1
      sessions[uncheckedSessions].checkCaller()
      slice.spend(2, now: worker.now)
    }
    return true
  }

  private func askNextWaiters() -> Bool {
    let count = waiters.fireNext(8)
    slice.spend(count * 16, now: worker.now)
    return count > 0
  }

  private func fireNextProgress() -> Bool {
    // The events before it are delivered first.
    guard let session = progress.next(isBusy: delivery != nil || !steps.isEmpty) else { return false }
    session.progressIsDue(handedOverRevision(of: session.options.filter.entities))
    if session.isWanted { progress.add(session, after: session.options.progressInterval) }
    slice.spend(8, now: worker.now)
    return true
  }

  private func deliverNext() -> Bool {
    if delivery == nil, !beginNextDelivery() { return false }
    var count = 0
    while count < Self.sessionsPerStep, var current = delivery {
      guard current.audience < audiences.count else {
        endDelivery()
        break
      }
      // From the end: a session that ends during the delivery is replaced by one that has received the event already.
      current.session = min(current.session, audiences[current.audience].sessions.count) - 1
      if current.session < 0 {
        current.audience += 1
        current.session = .max
        delivery = current
        continue
      }
      delivery = current
      let session = audiences[current.audience].sessions[current.session]
      if session.nextEvent <= current.number {
        session.nextEvent = current.number + 1
        switch current.event {
        case .notice(let notice): session.offer(notice)
        case .gap: session.missed()
        }
      }
      slice.spend(1, now: worker.now)
      count += 1
      if slice.isOver { break }
    }
    return true
  }

  /// Takes steps up to the next event that a watch wants, but a limited number of them.
  private func beginNextDelivery() -> Bool {
    guard !steps.isEmpty else { return false }
    for _ in 0..<Self.sessionsPerStep {
      switch steps.first {
      case nil: return true
      case .observed(let revisions):
        steps.removeFirst()
        handedOver = revisions
      case .end(let session):
        steps.removeFirst()
        session.end(at: handedOverRevision(of: session.options.filter.entities))
      case .events(let events):
        let event = events[nextEvent]
        nextEvent += 1
        if nextEvent == events.count {
          steps.removeFirst()
          nextEvent = 0
        }
        findAudiences(of: event)
        delivery = Delivery(event: event, number: eventNumber)
        eventNumber += 1
        if !audiences.isEmpty { return true }
        endDelivery()
      }
      slice.spend(1, now: worker.now)
    }
    return true
  }

  private func findAudiences(of event: WatchEvent) {
    switch event {
    case .notice(let notice): index.collect(notice.entity, notice.key, into: &audiences)
    case .gap(let entity): index.collect(entity, into: &audiences)
    }
    slice.spend(1 + audiences.count / 8, now: worker.now)
  }

  private func endDelivery() {
    audiences.removeAll(keepingCapacity: true)
    // The change of a key resumes the calls that wait for it, before its whole cluster time is observed.
    if case .notice(let notice)? = delivery?.event { waiters.changed(notice) }
    delivery = nil
  }

  private func sendNext() -> Bool {
    guard let session = sending.first else { return false }
    sending.removeFirst()
    session.isInSendingQueue = false
    session.send(atMost: Self.itemsPerPump)
    slice.spend(1, now: worker.now)
    return true
  }

  private func releaseNext() -> Bool {
    slice.spend(1, now: worker.now)
    if index.prune(32) {
      slice.spend(8, now: worker.now)
      return true
    }
    guard !leftovers.isEmpty else { return false }
    for _ in 0..<64 {
      guard leftovers[leftovers.count - 1].popFirst() != nil else {
        leftovers.removeLast()
        break
      }
    }
    slice.spend(16, now: worker.now)
    return true
  }
}
