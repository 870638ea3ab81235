internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC
internal import Synchronization

/// The watches of one worker, and the inbox through which notices reach them.
final class WatchLane: @unchecked Sendable {
  // Safe to share: `inbox` and the count are locked, counters and `hasWaiters` are atomic, `worker` and `readers` are
  // constant; the rest is touched on the worker's thread only.
  private let worker: any RPCWorker
  let readers: [CacheReader]
  private let epoch: EpochSource
  private(set) var epochGeneration = -1
  /// The field `epoch` of an `InvalidationNotice`.
  private(set) var epochField: [UInt8] = []
  private let inbox = Locked<[[News]]>([])
  private var sessions: [ObjectIdentifier: WatchSession] = [:]
  /// What is being handed over, and the number of its first notice, counted from the first notice ever.
  private var handedOver: [News] = []
  private var firstNumber = 0
  private var depth = 0
  private let sessionCount = Locked(0)
  let counters = WatchCounters()
  /// Whether a call waits for a revision. Set before the waiter looks at what is observed, and read after that has
  /// moved on: so one of the two sees the other.
  private let hasWaiters = Atomic<Bool>(false)
  private var waiters: [ObjectIdentifier: RevisionWaiter] = [:]

  init(worker: any RPCWorker, readers: [CacheReader], epoch: EpochSource) {
    self.worker = worker
    self.readers = readers
    self.epoch = epoch
  }

  /// How many watches are open. Any thread.
  var count: Int { sessionCount.withLock { $0 } }

  /// What a cache has to say to its watches.
  enum News: Sendable {
    case notice(Notice)
    /// Changes may have gone unseen; what differed was announced before this.
    case gap(ServedEntity)
  }

  /// Takes news, from any thread; the first since the inbox was empty wakes the worker.
  func post(_ news: [News]) {
    let isFirst = inbox.withLock { inbox in
      inbox.append(news)
      return inbox.count == 1
    }
    if isFirst { worker.execute { self.drainInbox() } }
  }

  /// Hands what is in the inbox to every watch, in order. On the worker's thread.
  ///
  /// A watch that is written to may end, or drain and so come here again: each watch keeps its own place, so that every
  /// one of them gets all notices in order whoever hands them over.
  func drainInbox() {
    refreshEpoch()
    let batches = inbox.withLock { inbox in
      defer { inbox.removeAll(keepingCapacity: true) }
      return inbox
    }
    for batch in batches { handedOver += batch }
    handOver()
    // A key's own change answers who waits for it, before all of its cluster time is observed.
    var changed: Set<ServedEntity> = []
    for case .notice(let notice) in batches.joined() { changed.insert(notice.entity) }
    for waiter in Array(waiters.values) where changed.contains(waiter.entity) { waiter.fire() }
  }

  private func handOver() {
    guard !handedOver.isEmpty else { return }
    depth += 1
    for session in sessions.values {
      while session.nextNotice < firstNumber + handedOver.count {
        let news = handedOver[session.nextNotice - firstNumber]
        session.nextNotice += 1
        switch news {
        case .notice(let notice): session.offer(notice)
        case .gap(let entity): session.missed(entity)
        }
      }
    }
    depth -= 1
    if depth == 0 {
      firstNumber += handedOver.count
      handedOver = []
    }
  }

  /// Credentials have changed: every watch is looked at, one that is being opened now too. From any thread.
  func checkCallers() {
    worker.execute {
      for session in Array(self.sessions.values) { session.checkCaller() }
    }
  }

  /// On the worker's thread.
  func refreshEpoch() {
    let generation = epoch.generation
    guard generation != epochGeneration else { return }
    epochGeneration = generation
    epochField = []
    ProtobufWriter.string(7, epoch.current, to: &epochField)
  }

  /// Every notice that comes out of the inbox after this reaches the watch. On the worker's thread.
  func add(_ session: WatchSession) {
    refreshEpoch()
    session.epochGeneration = epochGeneration
    session.nextNotice = firstNumber + handedOver.count
    sessions[ObjectIdentifier(session)] = session
    sessionCount.withLock { $0 = sessions.count }
  }

  func remove(_ session: WatchSession) {
    sessions[ObjectIdentifier(session)] = nil
    sessionCount.withLock { $0 = sessions.count }
  }

  /// Up to here everything has been handed to the inbox: the lowest of the observed revisions. On the worker's thread.
  func observedRevision(of entities: [ServedEntity]) -> Revision {
    entities.map { readers[$0.rawValue].observedRevision }.min() ?? .none
  }

  // MARK: Calls that wait for a revision

  /// Calls `ready` once, when every change of the entity up to `revision` has been observed. On the worker's thread.
  func wait(for revision: Revision, of entity: ServedEntity, _ ready: @escaping () -> Void) -> any RPCTimer {
    let waiter = RevisionWaiter(revision, entity, self, ready)
    waiters[ObjectIdentifier(waiter)] = waiter
    hasWaiters.store(true, ordering: .sequentiallyConsistent)
    // It may have been observed since the caller looked.
    if readers[entity.rawValue].observedRevision >= revision { wakeWaiters() }
    return waiter
  }

  /// From any thread.
  func wakeWaiters() {
    guard hasWaiters.load(ordering: .sequentiallyConsistent) else { return }
    worker.execute {
      for waiter in Array(self.waiters.values)
      where self.readers[waiter.entity.rawValue].observedRevision >= waiter.revision {
        waiter.fire()
      }
    }
  }

  func remove(_ waiter: RevisionWaiter) {
    waiters[ObjectIdentifier(waiter)] = nil
    if waiters.isEmpty { hasWaiters.store(false, ordering: .sequentiallyConsistent) }
  }

  func schedule(afterSeconds seconds: Double, _ job: @escaping () -> Void) -> any RPCTimer {
    worker.schedule(afterSeconds: seconds, job)
  }

  var buffers: BufferAccount? { worker.buffers }
}

/// A call that waits for a revision. On its worker's thread only.
final class RevisionWaiter: RPCTimer {
  let revision: Revision
  let entity: ServedEntity
  private weak var lane: WatchLane?
  private var ready: (() -> Void)?

  init(_ revision: Revision, _ entity: ServedEntity, _ lane: WatchLane, _ ready: @escaping () -> Void) {
    self.revision = revision
    self.entity = entity
    self.lane = lane
    self.ready = ready
  }

  func fire() {
    let ready = ready
    cancel()
    ready?()
  }

  func cancel() {
    ready = nil
    lane?.remove(self)
  }
}
