public import Core
internal import Synchronization

/// The read side of a cache: answers and how fresh they are. Knows no model. Any thread, no waiting.
public final class CacheReader: Sendable {
  /// The first part of the cache's keys.
  public let entity: String
  /// After this long without confirmation the contents are no longer valid.
  public let ttlSeconds: Double
  let table = AnswerTable()
  let listings = Listings()

  private let clock: any Clock
  private let onObserved: @Sendable () -> Void
  private let loaded = Atomic<Bool>(false)
  private let observed = Atomic<UInt64>(0)
  private let confirmed = Atomic<UInt64>(0)
  /// The latest time that the database has reported.
  private let reported = Atomic<UInt64>(0)
  private let identityState = Locked("")
  /// Called between two stores of a publication, where other threads may read: for tests and simulations, which set it
  /// before the cache is started.
  // Safe: set before any other thread has the reader, and never again.
  package nonisolated(unsafe) var onStored: (() -> Void)?
  /// Called before an ``AnswerReader`` looks for an answer by its key, or for a list, where the writer may publish: for
  /// simulations, which set it before the cache is started. An ``AnswerQuery`` does not call it.
  package var onLook: (() -> Void)? {
    get { table.onLook }
    set { table.onLook = newValue }
  }
  private let identityChanges = Atomic<Int>(0)

  init(entity: String, ttlSeconds: Double, clock: any Clock, onObserved: @escaping @Sendable () -> Void) {
    self.entity = entity
    self.ttlSeconds = ttlSeconds
    self.clock = clock
    self.onObserved = onObserved
  }

  /// What the key answers, or nil. Means something only once ``isLoaded``.
  public func answer(space: UInt8, key: UnsafeRawBufferPointer) -> Answer? {
    table.answer(space: space, key)
  }

  public func answer(_ key: LookupKey) -> Answer? {
    table.answer(key)
  }

  /// A way in for one thread that looks up often, or looks at several answers of one moment.
  public func makeReader() -> AnswerReader { AnswerReader(table, listings) }

  /// Every announced answer, and the sequence number of the last change among them.
  public var all: (answers: AnswerList, sequence: UInt64) {
    let state = listings.current
    return (state.all, state.publication)
  }

  /// How many keys of the primary selector have an answer.
  public var count: Int { listings.current.primaryCount }

  /// Whether the cache has been loaded, once and for all.
  public var isLoaded: Bool { loaded.load(ordering: .acquiring) }

  /// Every change up to this has been applied, and its notice handed on.
  ///
  /// Sequentially consistent: who has said that it waits and then reads too little here is told of the next advance.
  public var observedRevision: Revision { Revision(observed.load(ordering: .sequentiallyConsistent)) }

  /// What tells this collection from any other; empty until the source has been reached.
  public var identity: String { identityState.withLock { $0 } }

  /// How often ``identity`` has changed.
  public var identityGeneration: Int { identityChanges.load(ordering: .acquiring) }

  /// Whether the database cannot have given this revision yet: it is further ahead of the database's own time, as far
  /// as that is known, and of this machine's clock than two clocks differ.
  public func isInTheFuture(_ revision: Revision) -> Bool {
    let now = clock.wallNow.milliseconds / 1000
    let latest = max(now, Int64(Revision(reported.load(ordering: .relaxed)).seconds))
    return Int64(revision.seconds) > latest + Limits.clockSkewSeconds
  }

  /// How long ago the question was asked whose reply last confirmed the contents: by a change, or by none.
  public var ageMilliseconds: UInt64 {
    clock.now.milliseconds(since: MonotonicTime(nanoseconds: confirmed.load(ordering: .relaxed)))
  }

  /// Loaded, and confirmed within the TTL.
  public var isValid: Bool {
    isLoaded && Double(ageMilliseconds) <= ttlSeconds * 1000
  }

  func publishLoaded() { loaded.store(true, ordering: .releasing) }
  func publishObserved(_ revision: Revision) {
    observed.store(revision.rawValue, ordering: .sequentiallyConsistent)
    onObserved()
  }
  func publishReported(_ time: Revision) {
    if time.rawValue > reported.load(ordering: .relaxed) { reported.store(time.rawValue, ordering: .relaxed) }
  }
  func publishConfirmed(_ time: MonotonicTime) { confirmed.store(time.nanoseconds, ordering: .relaxed) }
  func publishIdentity(_ identity: String) {
    let isNew = identityState.withLock { known in
      defer { known = identity }
      return known != identity
    }
    if isNew { identityChanges.add(1, ordering: .releasing) }
  }
}
