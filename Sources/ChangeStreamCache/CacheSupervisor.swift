internal import BSON
internal import Core

/// Owns the engine and drives it: the stream on one thread, reads of the whole collection on another.
///
/// Lock order: none. No function holds two locks, but for the sink, which the engine calls under the engine's lock.
final class CacheSupervisor<Model: CachedModel>: Sendable {
  private struct ReadRequest: Sendable {
    let number: UInt64
    let notBefore: Revision
  }

  private struct Control: Sendable {
    var isStopping = false
    var read: ReadRequest?
    var threads: [OSThread] = []
  }

  private static var silenceSeconds: Double { 30 }

  private let source: any DocumentSource
  private let reader: CacheReader
  private let options: ChangeStreamCache<Model>.Options
  private let clock: any Clock
  private let logger: Logger
  private let engine: Locked<CacheEngine<Model>>
  private let control = Locked(Control())
  private let publishedHealth = Locked(CacheHealth())
  /// By event: what was said last, and when.
  private let complaints = Locked<[String: (text: String, time: MonotonicTime)]>([:])

  init(
    source: any DocumentSource, reader: CacheReader, options: ChangeStreamCache<Model>.Options, clock: any Clock,
    logger: Logger, sink: @escaping @Sendable ([Invalidation]) -> Void,
    onHistoryStart: @escaping @Sendable (Revision) -> Void
  ) {
    self.source = source
    self.reader = reader
    self.options = options
    self.clock = clock
    self.logger = logger
    // A little early, by chance: servers that started together shall not read together for ever.
    let reloadSeconds = options.ttlSeconds * .random(in: 0.9...1)
    engine = Locked(
      CacheEngine(
        reader: reader, reloadSeconds: reloadSeconds, logger: logger, sink: sink,
        onHistoryStart: onHistoryStart))
  }

  func start() {
    let stream = OSThread(name: "\(Model.entity) stream") { self.followStream() }
    let read = OSThread(name: "\(Model.entity) read") { self.serveReads() }
    control.withLock { $0.threads = [stream, read] }
  }

  func beginStop() {
    control.withLock { $0.isStopping = true }
    control.signal()
  }

  func stop() {
    beginStop()
    let threads = control.withLock { control in
      defer { control.threads = [] }
      return control.threads
    }
    for thread in threads { thread.join() }
  }

  func requestReload() {
    withEngine { $0.requestReload(.manual) }
  }

  var health: CacheHealth {
    var health = publishedHealth.withLock { $0 }
    health.isLoaded = reader.isLoaded
    health.isValid = reader.isValid
    health.ageSeconds = reader.isLoaded ? Double(reader.ageMilliseconds) / 1000 : nil
    health.observedRevision = reader.observedRevision
    // An open stream that says nothing for so long, not even that there is nothing, is a dead link.
    if Double(reader.ageMilliseconds) > Self.silenceSeconds * 1000 { health.isStreamActive = false }
    return health
  }

  // MARK: The stream's thread

  private func followStream() {
    var token: ResumeToken?
    var backoff = Backoff(firstSeconds: options.firstRetrySeconds, limitSeconds: options.retryLimitSeconds)
    // Since when the source has refused the position, without one answer in between.
    var refusedSince: MonotonicTime?
    while sleep(seconds: backoff.next()) {
      let stream: any DocumentStream
      var isOpening = false
      do throws(SourceError) {
        let identity = try source.identity()
        let known = engine.withLock { $0.identity }
        if !known.isEmpty, known != identity { token = nil }
        isOpening = true
        stream = try source.openStream(resumingAfter: token)
        withEngine { $0.streamOpened(resumed: token != nil, identity: identity) }
      } catch {
        // Only the stream's own refusals say something of the position.
        if isLost(error, isOpening ? token : nil, &refusedSince) {
          if token != nil { logger.warning("history_lost", error.description, ["cache": .string(Model.entity)]) }
          token = nil
        } else {
          log(error, "stream_not_opened")
        }
        withEngine { $0.openFailed(error) }
        continue
      }
      let end = follow(stream, &token, &backoff, &refusedSince)
      stream.close()
      if let error = end { log(error, "stream_lost") }
      let historyLost = end.map { isLost($0, token, &refusedSince) } ?? true
      if historyLost { token = nil }
      withEngine { $0.streamClosed(end, historyLost: historyLost) }
    }
  }

  /// Whether the position is lost: the source says so, or has refused it, and nothing else, for so long that it will
  /// not become good. Elections end sooner than that.
  private func isLost(_ error: SourceError, _ token: ResumeToken?, _ refusedSince: inout MonotonicTime?) -> Bool {
    if error.kind == .historyLost { return true }
    guard token != nil, error.isFromServer else { return false }
    let now = MonotonicTime.now
    let since = refusedSince ?? now
    refusedSince = since
    guard now.seconds(since: since) >= options.positionPatienceSeconds else { return false }
    refusedSince = nil
    return true
  }

  /// Applies changes until the stream ends (nil), fails, or the cache stops.
  private func follow(
    _ stream: any DocumentStream, _ token: inout ResumeToken?, _ backoff: inout Backoff,
    _ refusedSince: inout MonotonicTime?
  ) -> SourceError? {
    var answered = false
    while true {
      beginReloadIfDue(operationTime: stream.operationTime)
      // Of this stream only: another connection's time may be another server's.
      let floor = stream.operationTime
      do throws(SourceError) {
        let change = try stream.next()
        // A stopped cache keeps its position: the end of the loop is no end of the stream.
        if control.withLock({ $0.isStopping }) { return SourceError(.transient, "stopped") }
        if !answered {
          answered = true
          backoff.reset()
          refusedSince = nil
          logRecovery()
        }
        token = stream.resumeToken ?? token
        guard apply(change, floor: floor, operationTime: stream.operationTime) else { return nil }
      } catch {
        return error
      }
    }
  }

  private func apply(_ change: DocumentChange?, floor: Revision, operationTime: Revision) -> Bool {
    let (now, wallNow) = (clock.now, clock.wallNow)
    guard let change else {
      withEngine { $0.receivedNothing(floor: floor, now: now, wallNow: wallNow) }
      return true
    }
    let reading = read(change)
    return withEngine { $0.received(change, reading, operationTime: operationTime, now: now, wallNow: wallNow) }
  }

  /// Reads, checks and encodes the change's document, before any lock is taken.
  private func read(_ change: DocumentChange) -> Reading? {
    switch change.operation {
    case .insert(let document), .replace(let document), .update(lookedUp: let document?):
      change.id.map { Reading(document, id: $0, as: Model.self) }
    case .update(lookedUp: nil), .delete, .invalidate, .unknown: nil
    }
  }

  private func beginReloadIfDue(operationTime: Revision) {
    let now = clock.now
    guard let (number, notBefore) = withEngine({ $0.beginReload(operationTime: operationTime, now: now) }) else {
      return
    }
    control.withLock { $0.read = ReadRequest(number: number, notBefore: notBefore) }
    control.signal()
  }

  // MARK: The reads' thread

  private func serveReads() {
    var backoff = Backoff(firstSeconds: options.firstRetrySeconds, limitSeconds: options.retryLimitSeconds)
    while let request = nextRead() {
      do throws(SourceError) {
        // Given up halfway: what it has found is not the collection.
        guard let end = try read(request) else { continue }
        let (now, wallNow) = (clock.now, clock.wallNow)
        withEngine { $0.readEnded(request.number, at: end, now: now, wallNow: wallNow) }
        backoff = Backoff(firstSeconds: options.firstRetrySeconds, limitSeconds: options.retryLimitSeconds)
        _ = backoff.next()
      } catch {
        log(error, "read_failed")
        // The reload is given up after the wait: that is when the stream's thread asks for the next.
        guard sleep(seconds: max(options.firstRetrySeconds, backoff.next())) else { return }
        withEngine { $0.readFailed(request.number, error) }
      }
    }
  }

  private func nextRead() -> ReadRequest? {
    while true {
      let next = control.wait(until: .now.advanced(bySeconds: 3600)) { control -> ReadRequest?? in
        if control.isStopping { return .some(nil) }
        guard let read = control.read else { return nil }
        control.read = nil
        return read
      }
      if let next { return next }
    }
  }

  /// The revision at the end of the read; nil if nobody wants it any more.
  private func read(_ request: ReadRequest) throws(SourceError) -> Revision? {
    var rows: [(id: DocumentID, reading: Reading)] = []
    var isWanted = true
    func hand() {
      let chunk = rows
      isWanted = withEngine { $0.rowsRead(request.number, chunk) } && !control.withLock { $0.isStopping }
      rows.removeAll(keepingCapacity: true)
    }
    let end = try source.readAll(matching: Model.filter.query, notBefore: request.notBefore) { document in
      guard let id = document.id else { return true }
      rows.append((id, Reading(document, id: id, as: Model.self)))
      if rows.count == 256 { hand() }
      return isWanted
    }
    hand()
    return isWanted ? end : nil
  }

  // MARK: Beneath

  private func withEngine<Result>(_ body: (inout CacheEngine<Model>) -> Result) -> Result {
    let (result, health) = engine.withLock { engine in
      let result = body(&engine)
      return (result, engine.currentHealth())
    }
    publishedHealth.withLock { $0 = health }
    return result
  }

  /// False: the cache is stopping.
  private func sleep(seconds: Double) -> Bool {
    let stop = control.wait(until: .now.advanced(bySeconds: seconds)) { $0.isStopping ? true : nil }
    return stop == nil && !control.withLock { $0.isStopping }
  }

  private func logRecovery() {
    let wasGone = complaints.withLock { complaints in
      let events = ["stream_lost", "stream_not_opened"]
      defer { for event in events { complaints[event] = nil } }
      return events.contains { complaints[$0] != nil }
    }
    guard wasGone else { return }
    logger.info("source_back", "the source answers again", ["cache": .string(Model.entity)])
  }

  private func log(_ error: SourceError, _ event: String) {
    guard !control.withLock({ $0.isStopping }) else { return }
    // A database that stays away is one event: the same complaint is worth a line a minute, not one a try.
    let now = MonotonicTime.now
    let isNews = complaints.withLock { complaints in
      if let last = complaints[event], last.text == error.message, now.seconds(since: last.time) < 60 { return false }
      complaints[event] = (error.message, now)
      return true
    }
    guard isNews else { return }
    let fields: KeyValuePairs<String, Logger.Field> = [
      "cache": .string(Model.entity), "code": .integer(Int64(error.code)), "advice": .string(error.advice),
    ]
    if error.kind == .misconfigured {
      logger.error(event, error.message, fields)
    } else {
      logger.warning(event, error.message, fields)
    }
  }
}
