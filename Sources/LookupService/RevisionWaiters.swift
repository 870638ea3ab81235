// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Synchronization

/// The number of calls that wait for a revision on all workers, and its limit. Any thread.
final class WaitingCallLimit: Sendable {
  let maximum: Int
  private let number = Atomic<Int>(0)

  init(maximum: Int) {
    self.maximum = maximum
  }

  /// The number of waiting calls.
  var count: Int { number.load(ordering: .relaxed) }

  fileprivate func add(_ change: Int) { number.add(change, ordering: .relaxed) }
}

/// The calls of one worker that wait for a revision, by that revision and by the requested key.
final class RevisionWaiters: @unchecked Sendable {
  // Safe to share: `awaited` is atomic, `readers` and `limit` are thread-safe; everything else is used on the worker's
  // thread only.
  private let readers: [CacheReader]
  let limit: WaitingCallLimit
  /// By ``ServedEntity``: the lowest revision that a call waits for. A waiter stores it before it reads the observed
  /// revision, and the thread that advances the observed revision reads it afterwards: one of the two sees the other.
  private let awaited: [AwaitedRevision]
  /// By ``ServedEntity``.
  private var byRevision: [DueHeap<RevisionWaiter>]
  private var byKey: [WatchKey: DueHeap<RevisionWaiter>] = [:]
  /// The keys that have changed, with the revision of the change.
  private var changedKeys = WorkQueue<(key: WatchKey, revision: UInt64)>()
  private let onKeyCount: (Int) -> Void

  /// - Parameters:
  ///   - readers: the caches, by ``ServedEntity``.
  ///   - limit: the limit of all workers.
  ///   - onKeyCount: called with the number of keys that calls wait for, whenever it changes.
  init(readers: [CacheReader], limit: WaitingCallLimit, onKeyCount: @escaping (Int) -> Void) {
    self.readers = readers
    self.limit = limit
    self.onKeyCount = onKeyCount
    awaited = readers.map { _ in AwaitedRevision() }
    byRevision = readers.map { _ in DueHeap() }
  }

  /// Whether a call waits for a revision that has been observed. Any thread.
  var areReady: Bool {
    for (reader, awaited) in zip(readers, awaited) where reader.observedRevision >= awaited.lowest { return true }
    return false
  }

  var haveKeys: Bool { !byKey.isEmpty }

  /// Adds a call, whose `onReady` is called once: when every change of the entity up to `revision` has been observed,
  /// or when the key itself has changed at that revision or later.
  func add(
    _ revision: Revision, _ entity: ServedEntity, _ key: LookupKey?, _ onReady: @escaping () -> Void
  ) -> RevisionWaiter {
    let waiter = RevisionWaiter(self, entity, key, onReady)
    byRevision[entity.rawValue].insert(waiter, due: revision.rawValue)
    waiter.isByRevision = true
    if let key {
      byKey[WatchKey(entity: entity, key: key), default: DueHeap()].insert(waiter, due: revision.rawValue)
      waiter.isByKey = true
      onKeyCount(byKey.count)
    }
    limit.add(1)
    noteLowest(entity)
    return waiter
  }

  /// Queues the calls that wait for the key of a notice: its answer has changed.
  func changed(_ notice: EncodedNotice) {
    guard !byKey.isEmpty else { return }
    let key = WatchKey(entity: notice.entity, key: notice.key)
    if byKey[key] != nil { changedKeys.append((key, notice.revision.rawValue)) }
  }

  /// Calls the handlers of ready calls again.
  ///
  /// - Parameter count: the highest number of calls.
  /// - Returns: the number of calls whose handler was called.
  func fireNext(_ count: Int) -> Int {
    var fired = 0
    while fired < count, let (key, revision) = changedKeys.first {
      guard let waiter = byKey[key]?.popFirst(upTo: revision) else {
        changedKeys.removeFirst()
        forgetIfEmpty(key)
        continue
      }
      waiter.isByKey = false
      fired += 1
      waiter.fire()
    }
    for entity in ServedEntity.allCases {
      let observed = readers[entity.rawValue].observedRevision.rawValue
      guard fired < count, !byRevision[entity.rawValue].isEmpty else { continue }
      while fired < count, let waiter = byRevision[entity.rawValue].popFirst(upTo: observed) {
        waiter.isByRevision = false
        fired += 1
        waiter.fire()
      }
      noteLowest(entity)
    }
    return fired
  }

  fileprivate func remove(_ waiter: RevisionWaiter) {
    limit.add(-1)
    if waiter.isByRevision {
      byRevision[waiter.entity.rawValue].noteUnwanted()
      noteLowest(waiter.entity)
    }
    guard waiter.isByKey, let key = waiter.key.map({ WatchKey(entity: waiter.entity, key: $0) }) else { return }
    byKey[key]?.noteUnwanted()
    forgetIfEmpty(key)
  }

  private func forgetIfEmpty(_ key: WatchKey) {
    guard byKey[key]?.isEmpty == true else { return }
    byKey[key] = nil
    onKeyCount(byKey.count)
  }

  private func noteLowest(_ entity: ServedEntity) {
    awaited[entity.rawValue].lowest = Revision(byRevision[entity.rawValue].firstDue() ?? .max)
  }
}

/// The lowest revision that a call waits for; the highest number if there is none.
private final class AwaitedRevision: Sendable {
  private let value = Atomic<UInt64>(.max)

  var lowest: Revision {
    get { Revision(value.load(ordering: .sequentiallyConsistent)) }
    set { value.store(newValue.rawValue, ordering: .sequentiallyConsistent) }
  }
}

/// A call that waits for a revision. On its worker's thread only.
final class RevisionWaiter: RPCTimer, DueElement {
  fileprivate let entity: ServedEntity
  fileprivate let key: LookupKey?
  fileprivate var isByRevision = false
  fileprivate var isByKey = false
  private weak var waiters: RevisionWaiters?
  private var onReady: (() -> Void)?

  fileprivate init(
    _ waiters: RevisionWaiters, _ entity: ServedEntity, _ key: LookupKey?, _ onReady: @escaping () -> Void
  ) {
    self.waiters = waiters
    self.entity = entity
    self.key = key
    self.onReady = onReady
  }

  var isWanted: Bool { onReady != nil }

  fileprivate func fire() {
    let onReady = onReady
    cancel()
    onReady?()
  }

  func cancel() {
    guard onReady != nil else { return }
    onReady = nil
    waiters?.remove(self)
  }
}
