internal import ChangeStreamCache
internal import Core
internal import RPC

/// The watches of one worker, and the inbox through which notices reach them.
final class WatchLane: @unchecked Sendable {
  // Safe to share: `inbox` is locked and `worker`, `readers` are constant; `sessions` is touched on the worker's thread
  // only.
  private let worker: any RPCWorker
  let readers: [CacheReader]
  private let inbox = Locked<[[Notice]]>([])
  private var sessions: [ObjectIdentifier: WatchSession] = [:]
  private let sessionCount = Locked(0)

  init(worker: any RPCWorker, readers: [CacheReader]) {
    self.worker = worker
    self.readers = readers
  }

  /// How many watches are open. Any thread.
  var count: Int { sessionCount.withLock { $0 } }

  /// Takes notices, from any thread; the first one since the inbox was empty wakes the worker.
  func post(_ notices: [Notice]) {
    let isFirst = inbox.withLock { inbox in
      inbox.append(notices)
      return inbox.count == 1
    }
    if isFirst { worker.execute { self.drainInbox() } }
  }

  /// Hands what is in the inbox to every watch. On the worker's thread.
  func drainInbox() {
    let batches = inbox.withLock { inbox in
      defer { inbox.removeAll(keepingCapacity: true) }
      return inbox
    }
    for batch in batches {
      for session in sessions.values {
        for notice in batch { session.offer(notice) }
      }
    }
  }

  /// Every notice that is handed over after this reaches the watch. On the worker's thread.
  func add(_ session: WatchSession) {
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

  func schedule(afterSeconds seconds: Double, _ job: @escaping () -> Void) -> any RPCTimer {
    worker.schedule(afterSeconds: seconds, job)
  }
}
