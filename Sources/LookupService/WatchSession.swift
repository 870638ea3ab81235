// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages

/// One watch: its filter, its queue, and the stream to which it writes. On its worker's thread only.
///
/// A watch begins with a PROGRESS, followed by the replay and the initial state if they are requested, and by live
/// notices. While the connection is not writable, notices are kept in a bounded ``WatchQueue``.
final class WatchSession: RPCStreamHandler, BufferHolder, DueElement {
  /// The maximum memory of a queued key (see `WatchQueue`).
  private static let queuedKeyBytes = 24
  /// The memory of a watch without its filter and its queue.
  static let ownBytes = 1024
  /// The position of a watch whose start is of another database: no server can replay exactly from this start.
  private static let unknownPosition = Revision(1)

  private(set) var options: WatchOptions
  private let shard: WatchShard
  private let hub: InvalidationHub
  private let report: LimitReport
  /// Nil once the watch has ended.
  private var writer: (any RPCStreamWriter)?
  private var queue: WatchQueue
  /// The number of queued keys that has been added to the shard's counters.
  private var countedKeys = 0
  /// The size of the watch, its queue and its backlog, and of its filter if the filter is charged to this watch.
  private(set) var bufferedByteCount = 0
  private var backlog = WatchBacklog()
  /// Indexed by ``ServedEntity``: notices below these numbers are in the backlog.
  private var covered = Array(repeating: Int.min, count: ServedEntity.allCases.count)
  private var isDraining = false
  /// The last PROGRESS has been sent or is queued: nothing may follow it.
  private var isEnding = false
  /// A write is in progress. The writer may call back during it; notices that arrive then are queued until it is done.
  private var isSending = false
  /// The subscriber may hold answers of another server. True until the first RESYNC, after which the subscriber looks
  /// them up here.
  private var mayHoldFromElsewhere: Bool
  /// Notices before this revision are not sent.
  private var startRevision: Revision?
  /// The revision of the last PROGRESS. No later PROGRESS has a lower one.
  private var position = Revision.none
  private var scratch = RPCReply()

  // Fields that the shard maintains.
  var place = 0
  var placeInAudience = 0
  var audience: WatchAudience?
  /// The number of the first event that this watch has not received.
  var nextEvent = 0
  var epochGeneration = 0
  var isInSendingQueue = false
  var isInTimers = false

  init(
    _ options: WatchOptions, shard: WatchShard, hub: InvalidationHub, writer: any RPCStreamWriter, report: LimitReport
  ) {
    self.report = report
    self.options = options
    self.shard = shard
    self.hub = hub
    self.writer = writer
    mayHoldFromElsewhere = options.start != nil
    // The initial state may be older than the start: then the changes between them must be announced.
    startRevision = options.isStartForeign || options.sendsInitialState ? nil : options.start
    queue = WatchQueue(limit: options.maximumQueuedKeys)
  }

  /// Whether the watch is open.
  var isWanted: Bool { writer != nil }

  private var entities: [ServedEntity] { options.filter.entities }

  func start() {
    // The watch is added to the shard before the revision is read: every newer change reaches it. All of this happens
    // before the first write, which may call back.
    shard.add(self)
    let observed = shard.observedRevision(of: entities)
    if let start = options.start {
      // Every PROGRESS is a safe resume position, so the first one must not be ahead of the replay.
      position = options.isStartForeign ? Self.unknownPosition : min(start, observed)
    } else {
      position = observed
    }
    fillBacklog(observed)
    countBuffers()
    isSending = true
    sendMark(.progress, nil, position, reason: "")
    isSending = false
    send(atMost: .max)
  }

  private func fillBacklog(_ observed: Revision) {
    if options.isStartForeign { backlog.append(.resync(nil)) }
    // No change from the revision of the first PROGRESS on may be missed, and some of these notices were posted before.
    let start = options.start ?? Revision(observed.rawValue + 1)
    var initialState: [(entity: ServedEntity, answers: AnswerList)] = []
    for entity in entities {
      // The replay ends with the publication of the initial state: no notice that follows is older than its answer.
      let state = options.sendsInitialState ? shard.readers[entity.rawValue].all : nil
      if let state { initialState.append((entity, state.answers)) }
      let range = hub.replayRange(
        entity, since: start, through: state?.sequence, isNewcomer: options.start == nil,
        withNotices: options.includesValues)
      // Notices that are older than the initial state do not follow it.
      covered[entity.rawValue] = range.end
      guard !options.isStartForeign else { continue }
      replayStart = start
      if let number = range.start {
        backlog.append(
          range.notices.map { .notices($0.reversed()) } ?? .replay(entity, next: number, end: range.end))
      } else {
        backlog.append(.resync(entity))
      }
    }
    for (entity, answers) in initialState { backlog.append(.answers(entity, answers, next: 0)) }
    if options.start != nil || options.sendsInitialState { backlog.append(.progress(observed)) }
  }

  /// Notices before this revision are not replayed.
  private var replayStart = Revision.none

  private func isReplayed(_ notice: EncodedNotice) -> Bool {
    notice.revision >= replayStart && options.filter.includes(notice.entity, notice.key)
      && !(options.includesValues && notice.isWithoutValue)
  }

  // MARK: From the shard

  /// Takes a notice that matches the filter.
  func offer(_ notice: EncodedNotice) {
    guard let writer, !isEnding else { return }
    resyncInNewEpoch()
    if notice.number < covered[notice.entity.rawValue] { return }
    // A subscriber that comes from a server that is ahead has seen all changes before its start.
    if let startRevision, notice.revision < startRevision { return }
    if !isSending, queue.isEmpty, backlog.isEmpty, writer.isWritable {
      isSending = true
      send(notice)
      isSending = false
      if !queue.isEmpty { shard.continueSending(self) }
    } else {
      makeRoom(for: notice)
      if queue.append(notice) {
        report.recordRejection(.queuedKeys, "Sending RESYNC to a slow watch: its queue of changed keys is full")
        dropBacklog()
      }
      countQueue()
    }
  }

  /// Replaces the filter by an equal one, so that watches with equal filters hold one object.
  func share(_ filter: WatchFilter) { options.filter = filter }

  /// Sends the first items of a full queue if the peer takes them: the queue overflows only where the peer is slow, not
  /// because the watch waits for its turn to send.
  private func makeRoom(for notice: EncodedNotice) {
    guard !isSending, backlog.isEmpty, queue.isFull(for: notice) else { return }
    isSending = true
    while let writer, writer.isWritable, queue.isFull(for: notice), sendNext() {}
    isSending = false
  }

  /// Handles missed changes of an entity. The cache has announced the differences from the answers that it served
  /// before; but a subscriber that came from another server may hold answers that this server has never served.
  func missed() {
    guard writer != nil, !isEnding, mayHoldFromElsewhere else { return }
    resync()
  }

  /// Queues a PROGRESS that is due: everything up to `revision` has been offered.
  func progressIsDue(_ revision: Revision) {
    guard writer != nil, !isDraining else { return }
    resyncInNewEpoch()
    queue.append(progress: revision, reason: "")
    shard.continueSending(self)
  }

  /// Replaces everything that is queued by a RESYNC.
  private func resync() {
    queue.resync(shard.observedRevision(of: entities))
    dropBacklog()
    countQueue()
    // Further notices would only be merged into a queued RESYNC.
    send(atMost: 4)
  }

  /// Drops the backlog. The queued RESYNC replaces all of it but the PROGRESS at its end.
  private func dropBacklog() {
    mayHoldFromElsewhere = false
    guard !backlog.isEmpty else { return }
    hub.release(backlog.removeAll())
    queue.append(
      progress: shard.handedOverRevision(of: entities), reason: options.sendsInitialState ? "initial_state" : "")
  }

  /// Queues a RESYNC if the database is another one than before: the state of a subscriber is of no use for the new
  /// one.
  private func resyncInNewEpoch() {
    guard epochGeneration != shard.epochGeneration else { return }
    epochGeneration = shard.epochGeneration
    startRevision = nil
    position = .none
    resync()
  }

  // MARK: From the transport

  func writable() {
    send(atMost: .max)
  }

  /// Frees memory: a RESYNC replaces what is queued; a watch with nothing to replace ends.
  func giveUpBuffers() {
    guard let writer else { return }
    if queue.keyCount == 0, !backlog.holdsContents {
      end()
      let message = "this server buffers too many bytes for slow clients: watch fewer keys, or try again later"
      shard.buffers?.budget.recordRejection(message)
      return writer.finish(RPCStatus(.bufferedBytesLimit, message, retryDelay: .seconds(1)), RPCMetadata())
    }
    shard.buffers?.budget.recordRejection("Sending RESYNC to a slow watch: too many bytes are buffered for all clients")
    resync()
  }

  func cancelled() {
    end()
  }

  /// Ends the watch if its caller is not permitted any more.
  func checkCaller() {
    guard let identity = options.identity, let writer else { return }
    do throws(RPCStatus) {
      try identity.require(.watch)
      for entity in entities { try identity.require(entity.readPermission) }
    } catch {
      end()
      writer.finish(error, RPCMetadata())
    }
  }

  /// Drains the watch: it sends its queue and a last PROGRESS, and ends with OK.
  func draining() {
    guard writer != nil, !isDraining else { return }
    isDraining = true
    shard.end(self)
  }

  /// Queues the last PROGRESS. Everything up to `revision`, and everything that had arrived when the drain began, has
  /// been offered.
  func end(at revision: Revision) {
    guard writer != nil, !isEnding else { return }
    resyncInNewEpoch()
    isEnding = true
    queue.append(progress: revision, reason: "draining")
    shard.continueSending(self)
  }

  // MARK: Sending

  /// Sends at most `limit` queued items, within the slice.
  func send(atMost limit: Int) {
    guard !isSending, writer != nil else { return }
    shard.beginSlice()
    resyncInNewEpoch()
    isSending = true
    defer {
      isSending = false
      countQueue()
    }
    var count = 0
    while let writer, writer.isWritable {
      if isEnding, queue.isEmpty, backlog.isEmpty {
        end()
        return writer.finish(.ok, RPCMetadata())
      }
      guard count < limit, shard.spend(1) else {
        if !queue.isEmpty || !backlog.isEmpty || isEnding { shard.continueSending(self) }
        return
      }
      count += 1
      guard sendNext() else { return }
    }
  }

  /// Sends the next item, or skips one of the backlog that is not wanted. Returns false if there is none.
  private func sendNext() -> Bool {
    if let item = backlog.next(hub, isWanted: isReplayed) {
      switch item {
      case .nothing: break
      case .notice(let notice): send(notice)
      case .answer(let entity, let answer):
        if options.filter.includes(entity, answer.key) { sendInitial(entity, answer) }
      case .resync(let entity):
        sendMark(.resync, entity, shard.observedRevision(of: entity.map { [$0] } ?? entities), reason: "resync")
      case .progress(let revision):
        send(progress: revision, reason: options.sendsInitialState ? "initial_state" : "")
      }
      return true
    }
    switch queue.popFirst() {
    case .notice(let notice): send(notice)
    case .progress(let revision, let reason): send(progress: revision, reason: reason)
    case .resync(let revision): sendMark(.resync, nil, revision, reason: "resync")
    case nil: return false
    }
    return true
  }

  /// Sends a PROGRESS, whose revision is never below that of the last one. Items behind it in the queue must not be
  /// counted before it is sent.
  private func send(progress revision: Revision, reason: String) {
    position = max(position, revision)
    sendMark(.progress, nil, position, reason: reason)
  }

  private func sendInitial(_ entity: ServedEntity, _ answer: CachedAnswer) {
    let encoded = encodeNotice(
      kind: .upsert, entity, key: answer.key, revision: answer.revision, itemID: answer.entry.itemID,
      reason: "initial_state", committedAt: answer.committedAt, etag: answer.etagDigits,
      previousETag: "")
    send(encoded, value: answer, entity)
  }

  /// Sends a PROGRESS or a RESYNC.
  private func sendMark(_ kind: NoticeKind, _ entity: ServedEntity?, _ revision: Revision, reason: String) {
    if kind == .resync { shard.counters.countResync() }
    let encoded = encodeNotice(kind: kind, entity, revision: revision, reason: reason)
    send(encoded, value: nil, nil)
  }

  private func send(_ notice: EncodedNotice) {
    send(notice.encoded, value: notice.answer, notice.entity)
  }

  private func send(_ encoded: [UInt8], value: CachedAnswer?, _ entity: ServedEntity?) {
    // The bytes of the epoch are shared by all notices that carry no value; a value requires a head of its own.
    scratch.head = shard.epochField
    if options.includesValues, let value, let entity {
      scratch.head.append(contentsOf: encoded)
      ProtobufWriter.lengthPrefix(entity.noticeValueField, value.entry.bytes.count, to: &scratch.head)
      scratch.body = value.entry.bytes
    } else {
      scratch.body = encoded
    }
    shard.counters.countNotice()
    _ = shard.spend(3)
    writer?.send(scratch)
    scratch.reset()
  }

  // MARK: Memory accounting

  private func countQueue() {
    countBuffers()
    guard queue.keyCount != countedKeys else { return }
    shard.counters.addQueuedKeys(queue.keyCount - countedKeys)
    countedKeys = queue.keyCount
  }

  /// Updates the accounted size of this watch.
  func countBuffers() {
    guard let buffers = shard.buffers else { return }
    var count = 0
    if writer != nil {
      count = Self.ownBytes + queue.keyCount * Self.queuedKeyBytes + backlog.byteCount
      // Watches of equal filters share one filter, which is charged to one of them.
      if let audience, audience.payer === self { count += audience.byteCount }
    }
    guard count != bufferedByteCount else { return }
    let before = bufferedByteCount
    bufferedByteCount = count
    buffers.change(self, from: before, to: count)
  }

  private func end() {
    guard writer != nil else { return }
    writer = nil
    countBuffers()
    shard.counters.addQueuedKeys(-countedKeys)
    countedKeys = 0
    hub.release(backlog.removeAll())
    let leftover = queue
    queue = WatchQueue(limit: 0)
    shard.remove(self, leftover)
  }
}
