// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
internal import Synchronization

/// The read side of a cache: its answers and their freshness. It is independent of the model. Any thread may use it,
/// and no call waits for a reload or for the database.
public final class CacheReader: Sendable {
  /// The first part of the cache's keys.
  public let entity: String
  /// The TTL: contents that were not verified for longer are no longer valid.
  public let ttl: Duration
  /// The TTL in whole milliseconds. An ``ageMilliseconds`` exceeds it exactly if it exceeds ``ttl``.
  package let ttlMilliseconds: UInt64
  let table = AnswerTable()
  let listings = Listings()

  private let clock: any TimeSource
  private let onObserved: @Sendable () -> Void
  private let loaded = Atomic<Bool>(false)
  private let observed = Atomic<UInt64>(0)
  private let confirmed = Atomic<UInt64>(0)
  /// The latest operation time that the database has reported.
  private let reported = Atomic<UInt64>(0)
  private let behindMajority = Atomic<Bool>(false)
  private let identityState = Locked("")
  /// A hook of tests and simulations. It is called between two stores of a publication, where other threads may read,
  /// and must be set before the cache is started.
  // Safe: set before any other thread has the reader, and never again.
  package nonisolated(unsafe) var onStored: (() -> Void)?
  /// A hook of simulations. It is called before an ``AnswerReader`` looks up an answer by its key, or a list, where the
  /// writer may publish. It must be set before the cache is started. Lookups with an ``AnswerQuery`` do not call it.
  package var onLook: (() -> Void)? {
    get { table.onLook }
    set { table.onLook = newValue }
  }
  private let identityChanges = Atomic<Int>(0)

  init(entity: String, ttl: Duration, clock: any TimeSource, onObserved: @escaping @Sendable () -> Void) {
    self.entity = entity
    self.ttl = ttl
    ttlMilliseconds = UInt64(clamping: ttl.milliseconds)
    self.clock = clock
    self.onObserved = onObserved
  }

  /// Looks up a key. The result is meaningful only when ``isLoaded`` is true.
  ///
  /// - Parameters:
  ///   - space: the number of the key's space.
  ///   - key: the bytes of the key.
  /// - Returns: the answer; nil if the key has none.
  public func answer(space: UInt8, key: UnsafeRawBufferPointer) -> CachedAnswer? {
    table.answer(space: space, key)
  }

  /// Looks up a key. The result is meaningful only when ``isLoaded`` is true.
  ///
  /// - Parameter key: the key.
  /// - Returns: the answer; nil if the key has none.
  public func answer(_ key: LookupKey) -> CachedAnswer? {
    table.answer(key)
  }

  /// Creates a reader for one thread that performs many lookups, or that needs several answers as of one moment.
  ///
  /// - Returns: a new reader. Only one thread may use it.
  public func makeReader() -> AnswerReader { AnswerReader(table, listings) }

  /// All announced answers, and the sequence number of the last publication that they contain.
  public var all: (answers: AnswerList, sequence: UInt64) {
    let state = listings.current
    return (state.all, state.publication)
  }

  /// The number of keys of the primary selector that have an answer.
  public var count: Int { listings.current.primaryCount }

  /// Whether the cache has been loaded. Once true, it stays true.
  public var isLoaded: Bool { loaded.load(ordering: .acquiring) }

  /// The observed revision: every change up to it has been applied, and its notices have been delivered.
  ///
  /// The access is sequentially consistent: a thread that first registers as waiting, and then reads too low a revision
  /// here, is notified of the next advance.
  public var observedRevision: Revision { Revision(observed.load(ordering: .sequentiallyConsistent)) }

  /// A string that identifies the collection of a database; empty until the source has been reached.
  public var identity: String { identityState.withLock { $0 } }

  /// The number of times that ``identity`` has changed.
  public var identityGeneration: Int { identityChanges.load(ordering: .acquiring) }

  /// Returns whether the database cannot have produced this revision yet: the revision is ahead of both the last time
  /// that the database reported and this machine's clock, by more than the assumed clock skew of 60 s.
  ///
  /// - Parameter revision: the revision to check.
  /// - Returns: true if the revision is in the future.
  public func isInTheFuture(_ revision: Revision) -> Bool {
    let now = clock.wallNow.milliseconds / 1000
    let latest = max(now, Int64(Revision(reported.load(ordering: .relaxed)).seconds))
    return Int64(revision.seconds) > latest + CacheLimits.clockSkew.components.seconds
  }

  /// The time since the contents were last verified. It counts from when the request was sent whose reply last
  /// confirmed the contents, with or without a change.
  public var age: Duration { clock.now.duration(since: confirmedAt) }

  /// The ``age`` in whole milliseconds, as replies contain it: every lookup needs it.
  package var ageMilliseconds: UInt64 {
    clock.now.milliseconds(since: confirmedAt)
  }

  private var confirmedAt: MonotonicTime { MonotonicTime(nanoseconds: confirmed.load(ordering: .relaxed)) }

  /// Whether the database member that serves the change stream has lost contact with the majority of its replica set,
  /// or is catching up: the contents may be older than their age.
  public var isBehindMajority: Bool { behindMajority.load(ordering: .relaxed) }

  /// Whether the cache is loaded, its contents were verified within the TTL, and the database member that verified them
  /// has contact with the majority.
  public var isValid: Bool {
    isLoaded && !isBehindMajority && ageMilliseconds <= ttlMilliseconds
  }

  func publishLoaded() { loaded.store(true, ordering: .releasing) }
  func publishObserved(_ revision: Revision) {
    observed.store(revision.rawValue, ordering: .sequentiallyConsistent)
    onObserved()
  }
  func publishReported(_ time: Revision) {
    if time.rawValue > reported.load(ordering: .relaxed) { reported.store(time.rawValue, ordering: .relaxed) }
  }
  func publishBehindMajority(_ isBehind: Bool) { behindMajority.store(isBehind, ordering: .relaxed) }
  func publishConfirmed(_ time: MonotonicTime) { confirmed.store(time.nanoseconds, ordering: .relaxed) }
  func publishIdentity(_ identity: String) {
    let isNew = identityState.withLock { known in
      defer { known = identity }
      return known != identity
    }
    if isNew { identityChanges.add(1, ordering: .releasing) }
  }
}
