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
  private let identityState = Locked("")
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

  /// A way in for one thread that looks up often.
  public func borrower() -> AnswerBorrower { AnswerBorrower(table) }

  /// The answers of a list, in order of key.
  public func list(_ name: String) -> [Answer] {
    listings.list(name)
  }

  /// Every answer in order of key, and the sequence number of the last change among them.
  public var all: (answers: [Answer], sequence: UInt64) { listings.all }

  /// How many keys have an answer.
  public var count: Int { listings.count }

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

  /// How long ago the contents were last confirmed: by a change, or by the news that there is none.
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
  func publishConfirmed(_ time: MonotonicTime) { confirmed.store(time.nanoseconds, ordering: .relaxed) }
  func publishIdentity(_ identity: String) {
    let isNew = identityState.withLock { known in
      defer { known = identity }
      return known != identity
    }
    if isNew { identityChanges.add(1, ordering: .releasing) }
  }
}
