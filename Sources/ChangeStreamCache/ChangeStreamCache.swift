// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// Keeps a collection in memory and up to date by its change stream.
///
/// The cache returns answers only after it has loaded the collection. Afterwards it applies each change by itself, as
/// soon as it is received. Every TTL, after lost history and on request, it reads the collection again beside the
/// served state; differences are applied and announced. Readers never wait: ``reader`` is independent of the cache's
/// threads and of the source.
///
///     let cache = ChangeStreamCache<Country>(source: source)
///     cache.start()
///     cache.value(for: LookupKey("KE"))?.name
///
/// Any thread may use the cache, except that only its owner may call ``start()`` and ``stop()``. A cache that is
/// released without ``stop()`` ends its threads, too, but does not wait for them.
public final class ChangeStreamCache<Model: CachedModel>: Sendable {
  /// The times and sizes of a cache. The defaults suit a service.
  public struct Options: Sendable {
    /// The TTL. Contents that were not verified for this long are no longer valid, and the collection is
    /// read again this often.
    public var ttl: Duration = .seconds(300)
    /// The wait before the first retry after the source could not be reached.
    public var initialRetryDelay: Duration = .milliseconds(100)
    /// The longest wait between two tries to reach the source.
    public var maximumRetryDelay: Duration = .seconds(10)
    /// A resume position that the source refuses for this long, without one successful reply in between, is given up.
    public var resumeTokenTimeout: Duration = .seconds(30)
    /// How far back in time earlier changes are read before the cache becomes ready, in whole seconds. Only for a cache
    /// that is created with an `onEarlierHistory`.
    public var historyWindow: Duration = .seconds(600)
    /// The longest time that the cache waits for this earlier history. Afterwards it becomes ready without it.
    public var historyTimeout: Duration = .seconds(5)
    /// An empty reply proves that all changes were received up to the time that the source had reported this long
    /// before: some milliseconds pass until a change of that time becomes visible (measured with SecantusDB,
    /// with its log synced to disk).
    public var operationTimeMargin: Duration = .milliseconds(100)
    /// The limit of the time by which the position of the stream may be behind the time of the database
    /// (``StreamProgress/majorityLag``). Above it a reply does not confirm the contents, and they are not valid. It is
    /// above the 10 s in which an idle replica set advances its position. Zero stands for no limit.
    public var majorityLagLimit: Duration = .seconds(30)
    /// The maximum fraction of the TTL by which the period of reloads is shortened randomly.
    package var reloadJitter: Double = 0.1
    /// The minimum time between two manual reloads. Requests in between share the next reload.
    package var manualReloadInterval: Duration = .seconds(5)
    /// The number of rows of a read that are passed to the engine at once.
    package var rowsPerHandover = 64

    /// Creates options with the default values.
    public init() {}
  }

  /// The read side of the cache.
  public let reader: CacheReader
  private let supervisor: CacheSupervisor<Model>

  /// Creates a cache. It does nothing until ``start()``.
  ///
  /// All closures are called on the cache's threads, and the next change waits for them: they must return quickly and
  /// must not call the cache.
  ///
  /// - Parameters:
  ///   - source: the source of the collection's documents and changes.
  ///   - options: times and sizes.
  ///   - clock: the clock, which a test may control.
  ///   - logger: receives the cache's log events.
  ///   - onInvalidation: receives the notices of one publication, in order, after lookups return the announced answers.
  ///   - onObserved: is called when the observed revision has advanced.
  ///   - onHistoryStart: receives a revision. Every change after it will be announced; changes before it may have been
  ///     missed.
  ///   - onEarlierHistory: is called once, before the cache is ready, with a revision and the changes from it on that
  ///     happened before the load: the last change of each key, and possibly of keys whose answer did not change.
  public init(
    source: any DocumentSource, options: Options = Options(), clock: any TimeSource = SystemClock(),
    logger: Logger = .silent, onInvalidation: @escaping @Sendable ([Invalidation]) -> Void = { _ in },
    onObserved: @escaping @Sendable () -> Void = {}, onHistoryStart: @escaping @Sendable (Revision) -> Void = { _ in },
    onEarlierHistory: (@Sendable (Revision, [Invalidation]) -> Void)? = nil
  ) {
    reader = CacheReader(entity: Model.entity, ttl: options.ttl, clock: clock, onObserved: onObserved)
    supervisor = CacheSupervisor(
      source: source, reader: reader, options: options, clock: clock, logger: logger,
      outlet: InvalidationOutlet(
        onInvalidation: onInvalidation, onHistoryStart: onHistoryStart, onEarlierHistory: onEarlierHistory))
  }

  /// Starts the cache's two threads: one follows the stream, the other reads the collection.
  public func start() {
    supervisor.start()
  }

  /// Requests that both threads end, without waiting for them, so that several caches can stop concurrently.
  public func beginStop() {
    supervisor.beginStop()
  }

  /// Ends both threads and waits for them. This can take as long as the longest call to the source.
  public func stop() {
    supervisor.stop()
  }

  /// Performs the next step of the stream's thread, for a caller that controls the time and has not called ``start()``:
  /// opens the stream, or waits for one change and applies it, or closes the stream after an error.
  ///
  /// - Returns: the time that the thread would wait before the next step.
  package func stepStream() -> Duration { supervisor.stepStream() }

  /// Performs the requested read, as the second thread would. The source may call ``stepStream()`` between two rows.
  ///
  /// - Returns: the time that the thread would wait before the next step; nil if no read was requested.
  package func stepRead() -> Duration? { supervisor.stepRead() }

  /// Closes the stream that ``stepStream()`` opened.
  package func closeStream() { supervisor.closeStream() }

  /// Requests a reload of the collection. Requests that are made while a reload is pending share it, and two requested
  /// reloads are at least some seconds apart.
  ///
  /// - Returns: the minimum time until the reload begins.
  @discardableResult
  public func reload() -> Duration {
    supervisor.requestReload()
  }

  /// Returns the value that the model keeps of the document that answers a key.
  ///
  /// - Parameter key: the key.
  /// - Returns: the value; nil if the key has no answer.
  public func value(for key: LookupKey) -> Model.CachedValue? {
    (reader.answer(key)?.entry as? ModelEntry<Model.CachedValue>)?.cachedValue
  }

  /// The health of the cache: a copy, as of now.
  public var health: CacheHealth { supervisor.health }
}
