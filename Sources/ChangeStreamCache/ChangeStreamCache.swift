public import Core

/// A collection kept in memory, true to its change stream.
///
/// Warm before it answers; after that each change is applied by itself, the moment it comes. The collection is read
/// again beside what is served every TTL, after lost history, and when asked to; what differs is applied and announced.
/// Nobody who reads is ever held up: reads go to ``reader``, which knows neither threads nor the source.
///
///     let cache = ChangeStreamCache<Country>(source: source)
///     cache.start()
///     cache.value(for: LookupKey("KE"))?.name
///
/// Any thread may call it, except that ``start()`` and ``stop()`` belong to its owner. A cache that is released without
/// ``stop()`` ends its threads too, and does not wait for them.
public final class ChangeStreamCache<Model: CachedModel>: Sendable {
  /// Times and sizes, with defaults that suit a service.
  public struct Options: Sendable {
    /// Contents that nothing has confirmed for this long are not valid any more, and as often the collection is read
    /// again.
    public var ttlSeconds: Double = 300
    /// The first and the longest wait between two tries to reach the source.
    public var firstRetrySeconds: Double = 0.1
    public var retryLimitSeconds: Double = 10
    /// A position that the source refuses for so long, without one answer in between, is given up.
    public var positionPatienceSeconds: Double = 30
    /// So far back changes are read before the cache is warm, for a cache that is made with an `onEarlierHistory`.
    public var historySeconds: Double = 600
    /// So long the cache waits for that before it is warm without.
    public var historyPatienceSeconds: Double = 5
    /// An empty reply proves what the source had reported so long before: some milliseconds pass until a change of that
    /// time can be seen (SecantusDB, with its log synced to disk).
    public var reportSettlesAfterSeconds: Double = 0.1
    /// Up to this part of the TTL earlier, by chance, the collection is read again.
    package var reloadJitter: Double = 0.1
    /// Seconds from one reload by hand to the next, at least: callers who ask in between share the next one.
    package var manualReloadSeconds: Double = 5
    /// So many rows of a read are taken at once.
    package var rowsPerHandover = 64

    public init() {}
  }

  /// The read side.
  public let reader: CacheReader
  private let supervisor: CacheSupervisor<Model>

  /// `onInvalidation` takes the notices of one change, in order, after lookups answer what they announce.
  /// `onObserved` is told that the observed revision has moved on. `onHistoryStart` is told a revision: every change
  /// after it will be announced, and of those before it some may have gone unseen. `onEarlierHistory` is told once,
  /// before the cache is warm, what changed before that, from its revision on: the last change of each key, and perhaps
  /// of some whose answer did not change. All are called on the cache's threads, while the next change waits: they must
  /// be quick, and must not call back.
  public init(
    source: any DocumentSource, options: Options = Options(), clock: any Clock = SystemClock(),
    logger: Logger = .silent, onInvalidation: @escaping @Sendable ([Invalidation]) -> Void = { _ in },
    onObserved: @escaping @Sendable () -> Void = {}, onHistoryStart: @escaping @Sendable (Revision) -> Void = { _ in },
    onEarlierHistory: (@Sendable (Revision, [Invalidation]) -> Void)? = nil
  ) {
    reader = CacheReader(entity: Model.entity, ttlSeconds: options.ttlSeconds, clock: clock, onObserved: onObserved)
    supervisor = CacheSupervisor(
      source: source, reader: reader, options: options, clock: clock, logger: logger,
      outlet: InvalidationOutlet(
        onInvalidation: onInvalidation, onHistoryStart: onHistoryStart, onEarlierHistory: onEarlierHistory))
  }

  /// Starts the cache's two threads: one follows the stream, one reads snapshots.
  public func start() {
    supervisor.start()
  }

  /// Tells both threads to end, without waiting: so that several caches end side by side.
  public func beginStop() {
    supervisor.beginStop()
  }

  /// Ends both threads and waits for them: as long as the source's longest wait.
  public func stop() {
    supervisor.stop()
  }

  /// Does the next thing that the stream's thread would do, for a caller who rules the time and has not called
  /// ``start()``: opens the stream, or waits for one change and applies it, or closes the stream after an error. Gives
  /// the seconds that the thread would wait before the next step.
  package func stepStream() -> Double { supervisor.stepStream() }

  /// Does the read that was asked for, as the second thread would; nil: none was asked for. Gives the seconds that the
  /// thread would wait before the next step. The source may call ``stepStream()`` between two rows.
  package func stepRead() -> Double? { supervisor.stepRead() }

  /// Lets go of the stream: ends what ``stepStream()`` began.
  package func closeStream() { supervisor.closeStream() }

  /// Reads the collection again, soon. Whoever asks while a reload waits to begin shares it, and two reloads that were
  /// asked for are some seconds apart.
  ///
  /// - Returns: How long the reload waits at least until it begins.
  @discardableResult
  public func reload() -> Duration {
    supervisor.requestReload()
  }

  /// What the model keeps of the document that answers `key`.
  public func value(for key: LookupKey) -> Model.Kept? {
    (reader.answer(key)?.entry as? ModelEntry<Model.Kept>)?.kept
  }

  /// How the cache is doing.
  public var health: CacheHealth { supervisor.health }
}
