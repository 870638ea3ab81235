// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// Follows the change stream, one step at a time. This is the work of the cache's first thread.
// Safe to share: used only by the caller that performs the steps, one after the other.
final class StreamFollower<Model: CachedModel>: @unchecked Sendable {
  private let source: any DocumentSource
  private let state: CacheState<Model>
  private let options: ChangeStreamCache<Model>.Options
  private let clock: any TimeSource
  private let logger: Logger
  private let complaints: SourceComplaints

  private var stream: (any DocumentStream)?
  private var token: ResumeToken?
  private var backoff: Backoff
  /// What waited for the stream at the last step.
  private var awaited: AwaitedProgress?
  /// The maximum wait of the stream for the next change while something waits for the stream to advance.
  private var hurriedWait = CacheLimits.firstHurriedWait
  private var reportedTimes = ReportedTimes()
  /// Whether the open stream has delivered a reply.
  private var hasAnswered = false
  /// Whether the last update event contained a post-image; nil before the first one.
  private var hasImages: Bool?
  /// The time since which the source has refused the resume position without one successful reply in between.
  private var refusedSince: MonotonicTime?
  /// The number of times in a row that the first reply of a resumed stream has not been received in time.
  private var timeouts = 0

  init(
    source: any DocumentSource, state: CacheState<Model>, options: ChangeStreamCache<Model>.Options,
    clock: any TimeSource,
    logger: Logger, complaints: SourceComplaints
  ) {
    self.source = source
    self.state = state
    self.options = options
    self.clock = clock
    self.logger = logger
    self.complaints = complaints
    backoff = Backoff(initial: options.initialRetryDelay, maximum: options.maximumRetryDelay)
    // The first try is the first step itself.
    _ = backoff.next()
  }

  /// Performs a step: opens a stream, or waits for one change and applies it, or closes the stream. Returns the time
  /// to wait before the next step.
  func step() -> Duration {
    guard let stream else { return open() }
    let end: SourceError?
    do throws(SourceError) {
      if try follow(stream) { return .zero }
      end = nil
    } catch {
      end = error
    }
    // A stopped cache keeps its position, because the end of the thread is not the end of the stream.
    if state.isStopping { return .zero }
    let historyLost = end.map(isLost) ?? true
    close()
    if let end { complaints.log(end, "stream_lost") }
    if historyLost { token = nil }
    state.withEngine { $0.streamClosed(end, historyLost: historyLost) }
    return backoff.next()
  }

  /// Closes the stream.
  func close() {
    stream?.close()
    stream = nil
  }

  private func open() -> Duration {
    var isOpening = false
    do throws(SourceError) {
      let identity = try source.identity()
      let known = state.withEngine { $0.identity }
      if !known.isEmpty, known != identity { token = nil }
      // The times belong to one stream: another connection may report the time of another server.
      reportedTimes = ReportedTimes()
      isOpening = true
      stream = try source.openStream(resumingAfter: token, reportingFields: Model.placingFields ?? [])
      hasAnswered = false
      state.withEngine { $0.streamOpened(resumed: token != nil, identity: identity) }
      return .zero
    } catch {
      if state.isStopping { return .zero }
      // Only errors of opening the stream concern the resume position.
      if isOpening, token != nil, isLost(error) {
        logger.warning("history_lost", error.description, ["cache": .string(Model.entity)])
        token = nil
      } else {
        complaints.log(error, "stream_not_opened")
      }
      state.withEngine { $0.openFailed(error) }
      return backoff.next()
    }
  }

  /// Whether the resume position is lost. There are three cases:
  ///
  /// - The source reports so.
  /// - It has refused the position for `resumeTokenTimeout`, without a successful reply and without an error of the
  ///   connection in between. Errors that would meet any request, such as those of a failover or of a missing
  ///   permission, do not count.
  /// - It has twice in a row not replied in time to the first request after the opening: it scans its history for
  ///   longer than a read of the collection takes.
  private func isLost(_ error: SourceError) -> Bool {
    if error.kind == .historyLost { return true }
    guard token != nil else { return false }
    if error.isTimeout, stream != nil, !hasAnswered {
      timeouts += 1
      if timeouts >= CacheLimits.timeoutsAtOnePosition {
        timeouts = 0
        return true
      }
    }
    guard error.isFromServer else {
      refusedSince = nil
      return false
    }
    guard error.kind == .transient, !error.isTemporary else { return false }
    let now = clock.now
    let since = refusedSince ?? now
    refusedSince = since
    guard now.duration(since: since) >= options.resumeTokenTimeout else { return false }
    refusedSince = nil
    return true
  }

  /// Waits for a change and applies it. Returns false if the change ends the stream, or if the stream is suspected to
  /// be broken.
  private func follow(_ stream: any DocumentStream) throws(SourceError) -> Bool {
    if state.withEngine({ $0.isStreamSuspect }) { return false }
    let before = stream.progress
    let awaited = prepare(reportedTime: before.reportedTime)
    if awaited != self.awaited { hurriedWait = CacheLimits.firstHurriedWait }
    self.awaited = awaited
    reportedTimes.add(before.reportedTime, at: clock.now)
    let change = try stream.next(waitingAtMost: awaited == nil ? nil : hurriedWait)
    hurriedWait = change == nil ? min(hurriedWait * 2, CacheLimits.longestHurriedWait) : CacheLimits.firstHurriedWait
    if state.isStopping { return true }
    if !hasAnswered {
      hasAnswered = true
      backoff.reset()
      refusedSince = nil
      timeouts = 0
      complaints.end(["stream_lost", "stream_not_opened"])
    }
    token = stream.resumeToken ?? token
    return apply(change, reply(change, before: before, after: stream.progress))
  }

  /// Derives what the engine may conclude from a reply.
  private func reply(_ change: DocumentChange?, before: StreamProgress, after: StreamProgress) -> StreamReply {
    var reply = StreamReply(
      lookupBound: after.lookupBound, databaseTime: after.databaseTime, asked: after.askedAt, now: clock.now,
      wallNow: clock.wallNow)
    if !after.hasMore { reply.majorityLag = after.majorityLag }
    if let received = after.received {
      reply.received = received.revision
      reply.settled = received.revision
    } else if change == nil {
      // The time counts up to the request: the reply proves nothing about what has happened since then.
      let moment = after.askedAt.advanced(by: .zero - options.operationTimeMargin)
      reply.received = reportedTimes.latest(notAfter: moment)
      reply.settled = before.reportedTime
    }
    return reply
  }

  private func apply(_ change: DocumentChange?, _ reply: StreamReply) -> Bool {
    guard let change else {
      state.withEngine { $0.receivedNothing(reply) }
      return true
    }
    switch change.operation {
    case .update: tell(hasImages: true)
    case .updateLookedUp: tell(hasImages: false)
    default: break
    }
    let reading = read(change)
    return state.withEngine { $0.received(change, reading, reply) }
  }

  private func tell(hasImages: Bool) {
    guard self.hasImages != hasImages else { return }
    self.hasImages = hasImages
    if hasImages {
      logger.info(
        "images_used", "Updates arrive with post-images and are applied at once",
        ["cache": .string(Model.entity)])
    } else {
      logger.info(
        "images_missing", "The collection has no post-images: updates are applied after a lookup",
        ["cache": .string(Model.entity)])
    }
  }

  /// Reads, validates and encodes the change's document, before any lock is taken.
  private func read(_ change: DocumentChange) -> Reading? {
    switch change.operation {
    case .insert(let document), .replace(let document), .update(let document), .updateLookedUp(let document?):
      change.id.map { Reading(document, id: $0, as: Model.self) }
    case .updateLookedUp(nil), .delete, .invalidate, .unknown: nil
    }
  }

  /// Requests a read if one is due. Returns what waits for the stream.
  private func prepare(reportedTime: Revision) -> AwaitedProgress? {
    let now = clock.now
    // The interval is longer where reading takes long: however often reloads are requested, they take at most a fifth
    // of the time.
    let interval = max(options.manualReloadInterval, (state.health.reloadDuration ?? .zero) * 4)
    let isReloadWanted = state.control.withLock { control in
      guard let due = control.manualReloadDue, due <= now else { return false }
      control.manualReloadDue = nil
      control.manualReloadFloor = now.advanced(by: interval)
      return true
    }
    if isReloadWanted { state.withEngine { $0.requestReload(.manual) } }
    let (request, awaited) = state.withEngine {
      ($0.nextRead(reportedTime: reportedTime, now: now), $0.awaited)
    }
    if let request {
      state.control.withLock { $0.read = request }
      state.control.signal()
    }
    return awaited
  }
}
