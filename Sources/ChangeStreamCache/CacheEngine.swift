// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The state of a cache and its transitions, without threads, I/O or a clock. The supervisor reports events to it.
struct CacheEngine<Model: CachedModel>: Sendable {
  let reader: CacheReader
  private let outlet: InvalidationOutlet
  private var publisher: AnswerPublisher
  let logger: Logger

  /// The documents that are served.
  var live = DocumentSet(spaces: Model.keySpaces)
  /// Changes up to this revision are ignored, because the collection is read again as of a later one.
  private var skipped = Revision.none
  /// Whether the open stream continues from the served state without a gap.
  var isContinuous = false
  var isStreamOpen = false
  /// The identity of the stream's database. The served answers may still come from another one.
  private(set) var identity = ""
  private var reload: Reload?
  private var reloadNumber: UInt64 = 0
  /// The reason of a reload that was requested and has not begun.
  private var wanted: Invalidation.Reason?
  private var shardedKeys = ShardedKeys()
  /// The received changes that cannot be published yet.
  private var queue = ChangeQueue()
  /// The received watermark: every change up to this revision has been received.
  private var arrived = Revision.none
  /// The operation time that was known when the last empty reply was requested.
  private var settled = Revision.none
  /// The observed revision: every change up to it has been applied.
  private var observed = Revision.none
  /// The revision of the last received change.
  private var lastChange = Revision.none
  /// The documents of the changes that were received at ``lastChange``.
  private var lastChanged: Set<DocumentID> = []
  /// Whether the stream's member is too far behind the database to confirm the contents.
  var isBehindMajority = false
  let majorityLagLimit: Duration
  /// When the request of the last received reply was sent.
  private var asked = MonotonicTime(nanoseconds: 0)
  /// The revision of the last applied change. Others may share it.
  private var lastApplied = Revision.none
  private var hasWarnedOfLateChange = false
  /// Whether a reload found changes that the stream did not deliver: it may be broken, and another one is opened.
  private(set) var isStreamSuspect = false
  /// When the collection is read again although no problem was detected.
  private var reloadDue: MonotonicTime?
  private let reloadInterval: Duration
  /// Whether the collection has been loaded once.
  private var hasServed = false
  /// The earlier history that is read before the cache reports that it is loaded.
  private var pastWanted: PastWanted?
  private let historyTimeout: Duration
  var health = CacheHealth()
  var isRejectedListCurrent = true
  /// The generation of ``DocumentSet/conflicts`` that ``health`` contains.
  var conflictsShown = 0

  private struct PastWanted: Sendable {
    let number: UInt64
    let through: Revision
    let sequence: UInt64
    let deadline: MonotonicTime
    var isUnderWay = false
  }

  /// Creates the engine. The collection is read every `reloadInterval`. Earlier history is awaited for
  /// `historyTimeout`. Above `majorityLagLimit`, unless it is zero, a reply confirms nothing.
  init(
    reader: CacheReader, reloadInterval: Duration, historyTimeout: Duration = .zero, majorityLagLimit: Duration = .zero,
    logger: Logger, outlet: InvalidationOutlet
  ) {
    self.reader = reader
    self.reloadInterval = reloadInterval
    self.logger = logger
    self.historyTimeout = historyTimeout
    self.majorityLagLimit = majorityLagLimit
    self.outlet = outlet
    publisher = AnswerPublisher(
      entity: Model.entity, spaces: Model.keySpaces, reader: reader, onInvalidation: outlet.onInvalidation,
      logger: logger)
  }

  // MARK: The stream

  /// Records that a stream was opened: one that resumes the previous stream, or a new one.
  mutating func streamOpened(resumed: Bool, identity: String) {
    if !self.identity.isEmpty, self.identity != identity {
      logger.error(
        "database_changed", "The database was replaced by another; reading it again", ["cache": .string(Model.entity)])
      lastChange = .none
      lastApplied = .none
      arrived = .none
      settled = .none
      skipped = .none
      observed = .none
      isContinuous = false
      publisher.isOtherDatabase = true
      queue.removeAll()
    }
    self.identity = identity
    isStreamOpen = true
    isStreamSuspect = false
    health.sourceError = nil
    if !resumed {
      isContinuous = false
      shardedKeys.removeAll()
      queue.removeAll()
    }
    if !isContinuous {
      // A reload that began on the previous stream misses the changes since then.
      reload = nil
    }
  }

  /// Records that the stream was closed. After `historyLost`, the next stream does not continue from here.
  mutating func streamClosed(_ error: SourceError?, historyLost: Bool) {
    isStreamOpen = false
    health.reconnects += 1
    health.sourceError = error?.description
    if historyLost {
      isContinuous = false
      reload = nil
    }
  }

  /// Records that no stream could be opened.
  mutating func openFailed(_ error: SourceError) {
    health.sourceError = error.description
    // The collection has been read, so the cache becomes ready without waiting for the source to return.
    if let wanted = pastWanted, isContinuous { pastRead(wanted.number, nil) }
  }

  /// Processes a change. `reply` is the reply that contained it, as of this change.
  ///
  /// - Returns: false if the change ends the stream.
  mutating func received(_ change: DocumentChange, _ reading: Reading?, _ reply: StreamReply) -> Bool {
    reader.publishReported(reply.databaseTime)
    updateMajority(reply)
    // A late change of a group whose other changes have been applied already, because the database reported too
    // early that its time was complete, has not been seen yet and is processed.
    let isRest =
      change.revision == lastChange && change.mayShareRevision && change.id.map { !lastChanged.contains($0) } ?? false
    guard
      change.revision > lastChange || isRest
        || (change.revision == lastChange && (change.revision > observed || queue.openGroup == change.revision))
    else {
      // A stream is in order of time. Most likely this change was delivered and applied before; a reload makes sure.
      logger.warning(
        "change_out_of_order", "Ignored a change that is not newer than the last one; reading the collection again",
        ["cache": .string(Model.entity), "revision": .unsigned(change.revision.rawValue)])
      wanted = wanted ?? .resync
      return true
    }
    if change.revision != lastChange { lastChanged.removeAll() }
    if let id = change.id { lastChanged.insert(id) }
    lastChange = change.revision
    if change.revision <= observed, isContinuous, !hasWarnedOfLateChange {
      // An empty reply excluded changes up to there: a resume position that was sent since then may claim too much.
      hasWarnedOfLateChange = true
      logger.warning(
        "change_late", "Received a change older than a time that the database had reported as complete; logged once",
        ["cache": .string(Model.entity), "revision": .unsigned(change.revision.rawValue)])
    }
    // Other changes may share this cluster time: only the times before it are complete.
    if change.revision > .none { advance(to: Revision(change.revision.rawValue - 1), reply) }
    confirm(reply)

    switch change.operation {
    case .invalidate(let name):
      logger.warning(
        "stream_invalidated", "The change stream was invalidated; reading the collection again",
        ["cache": .string(Model.entity), "operation": .string(name)])
      return false
    case .unknown(let name):
      logger.warning(
        "operation_unknown", "Unknown operation in the change stream; reading the collection again",
        ["cache": .string(Model.entity), "operation": .string(name)])
      wanted = wanted ?? .resync
    case .insert, .update, .updateLookedUp, .replace, .delete:
      guard let id = change.id, change.revision > skipped else { return true }
      queue.append(
        change, of: id, reading, lookupBound: reply.lookupBound, mayMove: mayMove(change),
        isLate: change.revision <= max(observed, settled))
      queue.settle(upTo: reply.settled)
      advance(to: reply.received, reply)
      giveUpIfFarBehind(max(change.revision, reply.lookupBound.revision))
    }
    return true
  }

  /// What has to wait until the stream advances, if anything.
  var awaited: AwaitedProgress? { AwaitedProgress(hasChanges: !queue.isEmpty, reload) }

  /// Processes an empty reply.
  mutating func receivedNothing(_ reply: StreamReply) {
    reader.publishReported(reply.databaseTime)
    updateMajority(reply)
    settled = max(settled, reply.settled)
    queue.endGroup()
    queue.settle(upTo: reply.settled)
    advance(to: reply.received, reply)
    confirm(reply)
    reader.table.reclaim()
  }

  // MARK: Reloads

  /// Requests a reload. One that is in progress began too early to count.
  mutating func requestReload(_ reason: Invalidation.Reason) {
    wanted = reason
  }

  /// Returns the read that is due, if any: of the collection for a reload, or of the earlier history after the first
  /// load.
  ///
  /// `reportedTime` is the operation time of the open stream, which will deliver every later change.
  mutating func nextRead(reportedTime: Revision, now: MonotonicTime) -> ReadRequest? {
    guard isStreamOpen, reload == nil else { return nil }
    if let wanted = pastWanted, isContinuous {
      if now >= wanted.deadline {
        pastRead(wanted.number, nil)
        return nil
      }
      // Changes that are announced meanwhile must not be older than those of the earlier history.
      guard !wanted.isUnderWay, observed >= wanted.through else { return nil }
      pastWanted?.isUnderWay = true
      return ReadRequest(number: wanted.number, subject: .past(through: wanted.through))
    }
    let reason: Invalidation.Reason?
    if !isContinuous {
      pastWanted = nil
      reason = hasServed ? .resync : nil
    } else if let wanted {
      reason = wanted
    } else if let reloadDue, now >= reloadDue {
      reason = .ttlReload
    } else {
      return nil
    }
    wanted = nil
    reloadNumber += 1
    let start = max(reportedTime, observed, lastChange, skipped)
    reload = Reload(number: reloadNumber, reason: reason, start: start, began: now, spaces: Model.keySpaces)
    reload?.documents.reserveCapacity(of: live)
    return ReadRequest(number: reloadNumber, subject: .collection(notBefore: start))
  }

  /// Processes the earlier history, nil if it could not be read. The cache becomes ready either way.
  mutating func pastRead(_ number: UInt64, _ past: PastChanges?) {
    guard let wanted = pastWanted, wanted.number == number else { return }
    pastWanted = nil
    if var past, let onEarlierHistory = outlet.onEarlierHistory {
      let invalidations = past.marks(in: live).map { key, mark in
        let answer = reader.table.answer(key)
        return Invalidation(
          kind: answer == nil ? .delete : .upsert, key: key, revision: mark.revision, committedAt: mark.committedAt,
          reason: .changeStream(mark.operation), itemID: answer?.entry.id.text ?? mark.itemID, answer: answer,
          previousETag: nil, sequence: wanted.sequence)
      }
      onEarlierHistory(past.floor, invalidations)
      logger.info(
        "history_read", "Change history read; watches can resume from before the start of this server",
        [
          "cache": .string(Model.entity), "notices": .integer(Int64(invalidations.count)),
          "from_revision": .unsigned(past.floor.rawValue),
        ])
    }
    publishLoaded()
  }

  private func publishLoaded() {
    guard !reader.isLoaded else { return }
    reader.publishLoaded()
    logger.info(
      "cache_loaded", "Cache loaded",
      [
        "cache": .string(Model.entity), "keys": .integer(Int64(reader.count)),
        "rejected": .integer(Int64(live.problems.count)), "revision": .unsigned(observed.rawValue),
      ])
  }

  /// Adds rows to the reload. Returns false if the reload was cancelled and reading should stop.
  mutating func rowsRead(_ number: UInt64, _ rows: [(id: DocumentID, reading: Reading)]) -> Bool {
    guard reload?.number == number else { return false }
    for row in rows { reload?.row(row.id, row.reading, known: live.documents[row.id]) }
    return true
  }

  /// Records the end of the read, at `revision`. The result is published when all changes up to it have been received.
  mutating func readEnded(_ number: UInt64, at revision: Revision, now: MonotonicTime, wallNow: WallTime) {
    guard let running = reload, running.number == number else { return }
    reload?.end = max(revision, running.start)
    finishReload(now, wallNow)
  }

  /// Records that the read failed. It is requested again.
  mutating func readFailed(_ number: UInt64, _ error: SourceError) {
    guard let running = reload, running.number == number else { return }
    if isContinuous { wanted = wanted ?? running.reason }
    reload = nil
    health.sourceError = error.description
  }

  // MARK: Private

  /// Whether the change is a looked-up update that may have moved the document to an unknown key, or into or out of the
  /// filter.
  private func mayMove(_ change: DocumentChange) -> Bool {
    guard case .updateLookedUp = change.operation else { return false }
    guard let fields = Model.placingFields, let touched = change.touchedFields else { return true }
    return !fields.isDisjoint(with: touched)
  }

  private mutating func beginHistory(after revision: Revision) {
    if let wanted = pastWanted {
      // The history still to be read covers this revision. Otherwise it would span an unknown gap and is given up.
      if revision <= wanted.through { return }
      pastRead(wanted.number, nil)
    }
    outlet.onHistoryStart(revision)
  }

  /// Confirms the contents as of the time when the reply was requested, because the reply may have been delayed.
  private mutating func confirm(_ reply: StreamReply) {
    guard !isBehindMajority else { return }
    asked = max(asked, reply.asked)
    // Until the gap is closed, a reply of the stream confirms nothing about the served state.
    if isContinuous { reader.publishConfirmed(asked) }
  }

  /// Records that every change up to `revision` has been received.
  private mutating func advance(to revision: Revision, _ reply: StreamReply) {
    arrived = max(arrived, revision)
    applyReady()
    // Queued changes have not been applied: nothing from the first of them on is observed.
    let reached = queue.lowest.map { min(arrived, Revision($0.rawValue - 1)) } ?? arrived
    if reached > observed {
      observed = reached
      if isContinuous { reader.publishObserved(observed) }
    }
    finishReload(reply.now, reply.wallNow)
  }

  /// Applies the changes that can be released from the queue, and then publishes the result.
  private mutating func applyReady() {
    let ready = queue.release(upTo: arrived)
    guard !ready.isEmpty else { return }
    var applied = AppliedChanges()
    for next in ready where shardedKeys.admits(next.change, next.id) {
      // A late change gets a revision above every sent resume position, so a watch that starts there receives it.
      let revision = max(next.revision, Revision(observed.rawValue + 1))
      lastApplied = max(lastApplied, revision)
      reload?.change(next, known: live.documents[next.id])
      if isContinuous { apply(next, at: revision, to: &applied) }
    }
    let steps = applied.merged()
    if !steps.isEmpty { publisher.publish(steps, live) }
  }

  private mutating func apply(
    _ ready: ChangeQueue.Ready, at revision: Revision, to applied: inout AppliedChanges
  ) {
    let (id, change) = (ready.id, ready.change)
    // Another server may have looked the document up earlier or later, and served it under a key that is unknown here.
    if ready.mayHaveMoved { beginHistory(after: revision) }
    report(id, ready.reading, before: live.problems[id])
    let committedAt = change.committedAt ?? WallTime(milliseconds: Int64(change.revision.seconds) * 1000)
    health.lastChangeAt = committedAt
    var operation = change.operation.name
    if case .updateLookedUp(nil) = change.operation { operation = "delete" }
    let before = live.documents[id]?.entry
    let keys = live.set(id, ready.reading)
    applied.add(
      ready, .init(reason: .changeStream(operation), revision: revision, committedAt: committedAt), keys,
      before: before, after: live.documents[id]?.entry)
  }

  /// Drops the queued changes if reading the collection, as of `revision` or later, is faster and needs less memory.
  private mutating func giveUpIfFarBehind(_ revision: Revision) {
    guard queue.count > CacheLimits.waitingChanges else { return }
    logger.warning(
      "far_behind", "More changes arrived than can be queued; reading the collection again",
      ["cache": .string(Model.entity), "changes": .integer(Int64(queue.count))])
    queue.removeAll()
    shardedKeys.removeAll()
    (isContinuous, reload) = (false, nil)
    skipped = revision
  }

  /// Publishes the reload's documents once they are the state of the collection as of the observed revision.
  private mutating func finishReload(_ now: MonotonicTime, _ wallNow: WallTime) {
    guard var finished = reload, let end = finished.end, observed >= end, observed >= lastApplied else { return }
    reload = nil
    if isContinuous {
      // For an invalid document the reload may hold another last good version: one that the stream has passed over.
      for id in finished.documents.problems.keys where live.problems[id] != nil {
        finished.documents.take(id, from: live)
      }
    }
    for (id, problem) in finished.documents.problems { report(id, .bad(problem), before: live.problems[id]) }
    for (id, problem) in live.problems where finished.documents.problems[id] == nil { report(id, nil, before: problem) }
    var keys = Array(finished.documents.claims.keys)
    keys += live.claims.keys.filter { finished.documents.claims[$0] == nil }
    live = finished.documents
    let committedAt = WallTime(milliseconds: Int64(observed.seconds) * 1000)
    let reason = finished.reason ?? .resync
    let cause = AnswerPublisher.Cause(reason: reason, revision: observed, committedAt: committedAt)
    let differing = publisher.publish([.init(keys: keys, cause: cause)], live)
    reader.publishIdentity(identity)
    publisher.isOtherDatabase = false

    // A difference without a change event means that changes were missed, at unknown times.
    if !isContinuous || differing > 0 { outlet.onHistoryStart(observed) }
    // Regardless of the reload's reason: a stream that did not deliver these changes may be broken.
    if isContinuous, differing > 0 { isStreamSuspect = true }
    isContinuous = true
    reloadDue = now.advanced(by: reloadInterval)
    health.reloads += 1
    health.reloadDuration = now.duration(since: finished.began)
    health.loadedAt = wallNow
    reader.publishConfirmed(asked)
    reader.publishObserved(observed)
    if reason == .resync, hasServed { health.resyncs += 1 }
    if reason == .ttlReload, differing > 0 {
      health.drift += UInt64(differing)
      logger.error(
        "drift",
        "The reload found changes that the change stream did not deliver; applied them, opening a new stream",
        ["cache": .string(Model.entity), "keys": .integer(Int64(differing))])
    }
    if !hasServed || !reader.isLoaded {
      hasServed = true
      publisher.isAnnouncing = true
      if outlet.onEarlierHistory == nil {
        publishLoaded()
      } else {
        pastWanted = PastWanted(
          number: finished.number, through: observed, sequence: publisher.sequence,
          deadline: now.advanced(by: historyTimeout))
      }
    } else if reason == .resync {
      logger.info(
        "cache_resynced", "Cache resynchronized with the collection",
        ["cache": .string(Model.entity), "changed_keys": .integer(Int64(differing))])
    }
  }
}
