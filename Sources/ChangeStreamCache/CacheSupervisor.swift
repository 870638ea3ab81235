// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Owns the engine and drives it. One thread follows the stream, another reads the whole collection.
///
/// There is no lock order, because no function holds two locks. The one exception is the outlet, which is called under
/// the engine's lock.
final class CacheSupervisor<Model: CachedModel>: Sendable {
  /// A limit that is longer than a reply takes that waits for changes.
  private static var silenceLimit: Duration { .seconds(5) }

  private let reader: CacheReader
  private let clock: any TimeSource
  private let state: CacheState<Model>
  private let follower: StreamFollower<Model>
  private let reads: CollectionReads<Model>
  private let threads = Locked<[OSThread]>([])

  init(
    source: any DocumentSource, reader: CacheReader, options: ChangeStreamCache<Model>.Options, clock: any TimeSource,
    logger: Logger, outlet: InvalidationOutlet
  ) {
    self.reader = reader
    self.clock = clock
    // The period is shortened randomly, so that servers that were started together do not reload together for ever.
    let reloadInterval = options.ttl * (1 - .random(in: 0...1) * options.reloadJitter)
    state = CacheState(
      CacheEngine(
        reader: reader, reloadInterval: reloadInterval, historyTimeout: options.historyTimeout,
        majorityLagLimit: options.majorityLagLimit, logger: logger, outlet: outlet))
    let complaints = SourceComplaints(entity: Model.entity, clock: clock, logger: logger)
    follower = StreamFollower(
      source: source, state: state, options: options, clock: clock, logger: logger, complaints: complaints)
    reads = CollectionReads(source: source, state: state, options: options, clock: clock, complaints: complaints)
  }

  /// The threads retain what they use, and none of them retains the supervisor, so they may outlive it. The supervisor
  /// does not wait for them, because one of them may release the last reference, and the source may take seconds to
  /// answer.
  deinit {
    beginStop()
    for thread in threads.withLock({ $0 }) { thread.detach() }
  }

  func start() {
    // Lookups take priority: a long uninterrupted piece of work on a cache's thread would show in the latency of some
    // of them.
    let stream = OSThread(name: "\(Model.entity) stream", urgency: .patient) { [state, follower] in
      var wait = Duration.zero
      while state.sleep(for: wait) { wait = follower.step() }
      follower.close()
    }
    let read = OSThread(name: "\(Model.entity) read", urgency: .background) { [state, reads] in
      while !state.isStopping {
        if let wait = reads.step() {
          _ = state.sleep(for: wait)
        } else {
          _ = state.control.wait(until: .now.advanced(by: .seconds(3600))) { control in
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

  /// Performs one step of the stream's thread, or of the reading thread, for a caller that controls the time.
  func stepStream() -> Duration { follower.step() }
  func stepRead() -> Duration? { reads.step() }
  func closeStream() { follower.close() }

  /// Requests a manual reload. Requests that are made while one is pending share it.
  ///
  /// - Returns: the minimum time until the reload begins.
  func requestReload() -> Duration {
    let now = clock.now
    // This does not take the engine's lock, because the caller may be an event loop, which must not wait for a step of
    // the cache.
    let due = state.control.withLock { control in
      let due = control.manualReloadDue ?? max(now, control.manualReloadFloor ?? now)
      control.manualReloadDue = due
      return due
    }
    return due.duration(since: now)
  }

  var health: CacheHealth {
    var health = state.health
    health.isLoaded = reader.isLoaded
    health.isValid = reader.isValid
    let age = reader.age
    health.age = reader.isLoaded ? age : nil
    health.observedRevision = reader.observedRevision
    // An open stream that sends no reply for this long, not even an empty one, has a dead connection.
    if age > Self.silenceLimit { health.isStreamActive = false }
    return health
  }
}
