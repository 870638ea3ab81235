internal import BSON
internal import Core

/// What a cache knows and how a change changes it: no thread, no I/O, no clock. The supervisor tells it what happened;
/// what it makes of that goes through the ``AnswerPublisher``.
struct CacheEngine<Model: CachedModel>: Sendable {
  let reader: CacheReader
  private let outlet: InvalidationOutlet
  private var publisher: AnswerPublisher
  let logger: Logger

  /// What is served.
  var live = DocumentSet(spaces: Model.keySpaces)
  /// Changes up to this are not wanted: the collection is read anew as of later.
  private var skipped = Revision.none
  /// Whether the open stream carries on from what is served, without a gap.
  var isContinuous = false
  var isStreamOpen = false
  /// Of the database that the stream is of; what is served may still be of another.
  private(set) var identity = ""
  private var reload: Reload?
  private var reloadNumber: UInt64 = 0
  /// A reload that was asked for and has not begun.
  private var wanted: Invalidation.Reason?
  /// What has come and cannot be shown yet.
  private var queue = ChangeQueue()
  /// Every change up to this has come.
  private var arrived = Revision.none
  /// The operation time that was known when the last empty reply was requested.
  private var settled = Revision.none
  /// Every change up to this has been applied.
  private var observed = Revision.none
  /// Of the last change that has come.
  private var lastChange = Revision.none
  /// The documents of the changes that have come at ``lastChange``.
  private var lastChanged: Set<DocumentID> = []
  /// When the question was asked whose answer has come last.
  private var asked = MonotonicTime(nanoseconds: 0)
  /// Of the last change that has been applied; others may share its revision.
  private var lastApplied = Revision.none
  private var hasWarnedOfLateChange = false
  /// A reload has found what the stream did not bring: it may be blind, and another one is to be opened.
  private(set) var isStreamSuspect = false
  /// When the collection is to be read again although all looks well.
  private var reloadDue: MonotonicTime?
  private let reloadSeconds: Double
  /// Whether the collection has been read once.
  private var hasServed = false
  /// The past that is to be read before the first load is published.
  private var pastWanted: PastWanted?
  private let historyPatienceSeconds: Double
  var health = CacheHealth()
  var isRejectedListCurrent = true
  /// The generation of ``DocumentSet/conflicts`` that ``health`` shows.
  var conflictsShown = 0

  private struct PastWanted: Sendable {
    let number: UInt64
    let through: Revision
    let sequence: UInt64
    let deadline: MonotonicTime
    var isUnderWay = false
  }

  /// The collection is read again every `reloadSeconds`. The past is waited for for `historyPatienceSeconds`.
  init(
    reader: CacheReader, reloadSeconds: Double, historyPatienceSeconds: Double = 0, logger: Logger,
    outlet: InvalidationOutlet
  ) {
    self.reader = reader
    self.reloadSeconds = reloadSeconds
    self.logger = logger
    self.historyPatienceSeconds = historyPatienceSeconds
    self.outlet = outlet
    publisher = AnswerPublisher(
      entity: Model.entity, spaces: Model.keySpaces, reader: reader, onInvalidation: outlet.onInvalidation,
      logger: logger)
  }

  // MARK: The stream

  /// A stream is open: one that carries on from the one before, or a new one.
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
      queue.removeAll()
    }
    if !isContinuous {
      // A reload that began on the stream before cannot know what has changed since.
      reload = nil
    }
  }

  /// The open stream is gone. With `historyLost`, what comes next will not carry on from here.
  mutating func streamClosed(_ error: SourceError?, historyLost: Bool) {
    isStreamOpen = false
    health.reconnects += 1
    health.sourceError = error?.description
    if historyLost {
      isContinuous = false
      reload = nil
    }
  }

  /// No stream could be opened.
  mutating func openFailed(_ error: SourceError) {
    health.sourceError = error.description
    // Nobody waits for the source to come back: the collection has been read.
    if let wanted = pastWanted, isContinuous { pastRead(wanted.number, nil) }
  }

  /// A change came, with a reply of this operation time to a question that was asked at `asked`.
  ///
  /// - Returns: false where the stream has ended with it.
  mutating func received(
    _ change: DocumentChange, _ reading: Reading?, operationTime: Revision, asked: MonotonicTime, now: MonotonicTime,
    wallNow: WallTime
  ) -> Bool {
    reader.publishReported(operationTime)
    // Of a transaction whose other changes have been applied already, because the database said too early that all of
    // its time had come, this is still news.
    let isRest =
      change.revision == lastChange && change.isInTransaction && change.id.map { !lastChanged.contains($0) } ?? false
    guard
      change.revision > lastChange || isRest
        || (change.revision == lastChange && (change.revision > observed || queue.openGroup == change.revision))
    else {
      // A stream is in order of time. Most likely this was delivered and applied before; a reload makes sure.
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
      // An empty reply said that there was nothing up to there: a position handed out since may have claimed too much.
      hasWarnedOfLateChange = true
      logger.warning(
        "change_late", "Received a change older than a time that the database had reported as complete; logged once",
        ["cache": .string(Model.entity), "revision": .unsigned(change.revision.rawValue)])
    }
    // Others may share this cluster time: only what lies before it is complete.
    if change.revision > .none { advance(to: Revision(change.revision.rawValue - 1), now, wallNow) }
    confirm(asked)

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
        change, of: id, reading, operationTime: operationTime, mayMove: mayMove(change),
        isLate: change.revision <= max(observed, settled))
      applyReady()
      giveUpIfFarBehind(operationTime)
    }
    return true
  }

  /// What waits for the stream to come further, if anything.
  var awaited: AwaitedProgress? { AwaitedProgress(hasChanges: !queue.isEmpty, reload) }

  /// A wait ended without a change: everything up to `floor`, an operation time known for a while before the question
  /// was asked, has come.
  ///
  /// `settled` is the operation time known when the wait began. Documents that were read by `updateLookup` before the
  /// wait, at or before `settled`, contain no undelivered change. Later reads may: a database can report a time some
  /// milliseconds before a change of that time becomes visible.
  mutating func receivedNothing(
    floor: Revision, settled: Revision, asked: MonotonicTime, now: MonotonicTime, wallNow: WallTime
  ) {
    reader.publishReported(settled)
    self.settled = max(self.settled, settled)
    queue.settle(upTo: settled)
    advance(to: floor, now, wallNow)
    confirm(asked)
    reader.table.reclaim()
  }

  // MARK: Reloads

  /// Asks for a reload, soon. One that is under way began too early to count.
  mutating func requestReload(_ reason: Invalidation.Reason) {
    wanted = reason
  }

  /// What is to be read now, if anything: the collection where a reload is due, or the past after the first load.
  ///
  /// `operationTime` is the open stream's: every change after it will come.
  mutating func nextRead(operationTime: Revision, now: MonotonicTime) -> ReadRequest? {
    guard isStreamOpen, reload == nil else { return nil }
    if let wanted = pastWanted, isContinuous {
      if now >= wanted.deadline {
        pastRead(wanted.number, nil)
        return nil
      }
      // What is announced meanwhile must not be older than what the past brings.
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
    let start = max(operationTime, observed, lastChange)
    reload = Reload(number: reloadNumber, reason: reason, start: start, began: now, spaces: Model.keySpaces)
    reload?.documents.reserveCapacity(of: live)
    return ReadRequest(number: reloadNumber, subject: .collection(notBefore: start))
  }

  /// What the past has told, nil where it could not be read: the cache is ready either way.
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

  /// Takes rows of the collection. False: the reload is off, read no further.
  mutating func rowsRead(_ number: UInt64, _ rows: [(id: DocumentID, reading: Reading)]) -> Bool {
    guard reload?.number == number else { return false }
    for row in rows { reload?.row(row.id, row.reading, known: live.documents[row.id]) }
    return true
  }

  /// The read has ended, at `revision`; what it found is published once every change up to there has come.
  mutating func readEnded(_ number: UInt64, at revision: Revision, now: MonotonicTime, wallNow: WallTime) {
    guard let running = reload, running.number == number else { return }
    reload?.end = max(revision, running.start)
    finishReload(now, wallNow)
  }

  /// The read failed; it is asked for again.
  mutating func readFailed(_ number: UInt64, _ error: SourceError) {
    guard let running = reload, running.number == number else { return }
    if isContinuous { wanted = wanted ?? running.reason }
    reload = nil
    health.sourceError = error.description
  }

  // MARK: Beneath

  /// Whether it is an update that may have taken the document to another key, or into the filter or out of it, and not
  /// known where to.
  private func mayMove(_ change: DocumentChange) -> Bool {
    guard case .updateLookedUp = change.operation else { return false }
    guard let fields = Model.placingFields, let touched = change.touchedFields else { return true }
    return !fields.isDisjoint(with: touched)
  }

  private mutating func beginHistory(after revision: Revision) {
    if let wanted = pastWanted {
      // What is to be read of the past has this in it; or else it would bridge what is not known.
      if revision <= wanted.through { return }
      pastRead(wanted.number, nil)
    }
    outlet.onHistoryStart(revision)
  }

  /// A reply confirms the contents as of when it was asked for: it may have been on its way for long.
  private mutating func confirm(_ asked: MonotonicTime) {
    self.asked = max(self.asked, asked)
    // Until the gap is closed, nothing that the stream says confirms what is served.
    if isContinuous { reader.publishConfirmed(self.asked) }
  }

  /// Every change up to `revision` has come.
  private mutating func advance(to revision: Revision, _ now: MonotonicTime, _ wallNow: WallTime) {
    arrived = max(arrived, revision)
    applyReady()
    // What waits has not been applied: nothing from there on is observed.
    let reached = queue.lowest.map { min(arrived, Revision($0.rawValue - 1)) } ?? arrived
    if reached > observed {
      observed = reached
      if isContinuous { reader.publishObserved(observed) }
    }
    finishReload(now, wallNow)
  }

  /// Applies the changes whose turn it is, and then shows what has come of them.
  private mutating func applyReady() {
    let ready = queue.release(upTo: arrived)
    guard !ready.isEmpty else { return }
    var applied = AppliedChanges()
    for next in ready {
      // What comes late is newer than every position that was handed out: nobody who starts at one may miss it.
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
    // A server that looked the document up at another moment may have shown it under a key that nobody here has seen.
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

  /// So much waits that reading the collection anew is quicker, and needs less memory. What is read then is as of
  /// `operationTime` or later.
  private mutating func giveUpIfFarBehind(_ operationTime: Revision) {
    guard queue.count > Limits.waitingChanges else { return }
    logger.warning(
      "far_behind", "More changes arrived than can be queued; reading the collection again",
      ["cache": .string(Model.entity), "changes": .integer(Int64(queue.count))])
    queue.removeAll()
    isContinuous = false
    reload = nil
    skipped = operationTime
  }

  /// Makes what was read, and the changes since, what is served: once it is the collection as of the observed revision.
  private mutating func finishReload(_ now: MonotonicTime, _ wallNow: WallTime) {
    guard var finished = reload, let end = finished.end, observed >= end, observed >= lastApplied else { return }
    reload = nil
    if isContinuous {
      // Of a bad document the reload may have had another good version last: one that the stream has passed over.
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

    // What differs without a change of the stream means that changes went unseen, and nobody knows when they were.
    if !isContinuous || differing > 0 { outlet.onHistoryStart(observed) }
    // Whatever the reload was for: a stream that did not bring these may be blind.
    if isContinuous, differing > 0 { isStreamSuspect = true }
    isContinuous = true
    reloadDue = now.advanced(bySeconds: reloadSeconds)
    health.reloads += 1
    health.reloadSeconds = now.seconds(since: finished.began)
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
          deadline: now.advanced(bySeconds: historyPatienceSeconds))
      }
    } else if reason == .resync {
      logger.info(
        "cache_resynced", "Cache resynchronized with the collection",
        ["cache": .string(Model.entity), "changed_keys": .integer(Int64(differing))])
    }
  }
}
