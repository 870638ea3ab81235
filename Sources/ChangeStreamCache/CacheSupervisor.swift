internal import Core

/// Owns the engine and drives it: the stream on one thread, reads of the whole collection on another.
///
/// Lock order: none. No function holds two locks, but for the outlet, which the engine calls under the engine's lock.
final class CacheSupervisor<Model: CachedModel>: Sendable {
  /// Longer than the reply to a question takes that waits for changes.
  private static var silenceSeconds: Double { 5 }

  private let reader: CacheReader
  private let clock: any Clock
  private let state: CacheState<Model>
  private let follower: StreamFollower<Model>
  private let reads: CollectionReads<Model>
  private let threads = Locked<[OSThread]>([])

  init(
    source: any DocumentSource, reader: CacheReader, options: ChangeStreamCache<Model>.Options, clock: any Clock,
    logger: Logger, outlet: InvalidationOutlet
  ) {
    self.reader = reader
    self.clock = clock
    // A little early, by chance: servers that started together shall not read together for ever.
    let reloadSeconds = options.ttlSeconds * (1 - .random(in: 0...1) * options.reloadJitter)
    state = CacheState(
      CacheEngine(
        reader: reader, reloadSeconds: reloadSeconds, historyPatienceSeconds: options.historyPatienceSeconds,
        logger: logger, outlet: outlet))
    let complaints = SourceComplaints(entity: Model.entity, clock: clock, logger: logger)
    follower = StreamFollower(
      source: source, state: state, options: options, clock: clock, logger: logger, complaints: complaints)
    reads = CollectionReads(source: source, state: state, options: options, clock: clock, complaints: complaints)
  }

  /// The threads hold what they use, and none of them holds the supervisor, so they may outlive it. They are not waited
  /// for: the last reference may be released by one of them, and the source may take seconds to answer.
  deinit {
    beginStop()
    for thread in threads.withLock({ $0 }) { thread.detach() }
  }

  func start() {
    // Lookups go first: what the threads of a cache do in one piece would show in how long some of them take.
    let stream = OSThread(name: "\(Model.entity) stream", urgency: .patient) { [state, follower] in
      var wait = 0.0
      while state.sleep(seconds: wait) { wait = follower.step() }
      follower.close()
    }
    let read = OSThread(name: "\(Model.entity) read", urgency: .background) { [state, reads] in
      while !state.isStopping {
        if let wait = reads.step() {
          _ = state.sleep(seconds: wait)
        } else {
          _ = state.control.wait(until: .now.advanced(bySeconds: 3600)) { control in
            control.isStopping || control.read != nil ? true : nil
          }
        }
      }
    }
    threads.withLock { $0 = [stream, read] }
  }

  func beginStop() {
    state.control.withLock { $0.isStopping = true }
    state.control.signal()
  }

  func stop() {
    beginStop()
    let threads = threads.withLock { threads in
      defer { threads = [] }
      return threads
    }
    for thread in threads { thread.join() }
  }

  /// One step of the stream's thread, or of the read's, by whoever rules the time in their place.
  func stepStream() -> Double { follower.step() }
  func stepRead() -> Double? { reads.step() }
  func closeStream() { follower.close() }

  /// Asks for a reload by hand; those who ask while one waits share it.
  ///
  /// - Returns: How long it waits at least.
  func requestReload() -> Duration {
    let now = clock.now
    // Not the engine's lock: whoever asks may be an event loop, and must not wait for a step of the cache.
    let due = state.control.withLock { control in
      let due = control.manualReloadDue ?? max(now, control.manualReloadFloor ?? now)
      control.manualReloadDue = due
      return due
    }
    return .seconds(max(0, due.seconds(since: now)))
  }

  var health: CacheHealth {
    var health = state.health
    health.isLoaded = reader.isLoaded
    health.isValid = reader.isValid
    health.ageSeconds = reader.isLoaded ? Double(reader.ageMilliseconds) / 1000 : nil
    health.observedRevision = reader.observedRevision
    // An open stream that says nothing for so long, not even that there is nothing, is a dead link.
    if Double(reader.ageMilliseconds) > Self.silenceSeconds * 1000 { health.isStreamActive = false }
    return health
  }
}
