internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC

/// One watch: what it is about, what it has still to be told, and where it writes. On its worker's thread only.
///
/// First a PROGRESS, then a replay and the initial state where they are wanted, then notices as they come. What the
/// peer does not take waits in a bounded ``WatchQueue``.
final class WatchSession: RPCStreamHandler, BufferHolder, DueElement {
  /// Of a key that waits, at most (see `WatchQueue`).
  private static let queuedKeyBytes = 24
  /// What a watch takes beside its filter and what waits for it.
  static let ownBytes = 1024
  /// The position of a watch whose start is of another database: a start that no server can replay exactly.
  private static let unknownPosition = Revision(1)

  let options: WatchOptions
  private let shard: WatchShard
  private let hub: InvalidationHub
  private let report: LimitReport
  /// Nil once the watch is over.
  private var writer: (any RPCStreamWriter)?
  private var queue: WatchQueue
  /// As the shard's counters have them.
  private var countedKeys = 0
  /// Of the watch, its queue and backlog, and of its filter where it pays for that.
  private(set) var bufferedByteCount = 0
  private var backlog = WatchBacklog()
  /// By ``ServedEntity``: notices below these numbers are in the backlog.
  private var covered = Array(repeating: Int.min, count: ServedEntity.allCases.count)
  private var isDraining = false
  /// The last PROGRESS has been sent, or waits for its turn: nothing may follow it.
  private var isEnding = false
  /// The writer is being written to. It may call back from within: what that brings waits until the write is done.
  private var isSending = false
  /// The subscriber may hold what another server told it: until the first RESYNC, after which it asks here.
  private var mayHoldFromElsewhere: Bool
  /// Nothing older is wanted.
  private var startRevision: Revision?
  /// The revision of the last PROGRESS: none that follows is below it.
  private var position = Revision.none
  private var scratch = RPCReply()

  // The shard's notes.
  var place = 0
  var placeInAudience = 0
  var audience: WatchAudience?
  /// The first event that this watch has not been given.
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
    // The initial state may be older than the start: then what lies between is news.
    startRevision = options.isStartForeign || options.sendsInitialState ? nil : options.start
    queue = WatchQueue(limit: options.maximumQueuedKeys)
  }

  /// Whether the watch is open.
  var isWanted: Bool { writer != nil }

  private var entities: [ServedEntity] { options.filter.entities }

  func start() {
    // First in the shard, then the revision: what is newer than it reaches the watch. All of it before the first write,
    // which may call back.
    shard.add(self)
    let observed = shard.observedRevision(of: entities)
    if let start = options.start {
      // Every PROGRESS is a position that a watch can resume at: so not ahead of the replay.
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
    // From the revision that the first PROGRESS gives on nothing may be missed, and some of it was handed out before.
    let start = options.start ?? Revision(observed.rawValue + 1)
    var initialState: [(entity: ServedEntity, answers: AnswerList)] = []
    for entity in entities {
      // The replay ends with the publication of the initial state: no notice that follows is older than its answer.
      let state = options.sendsInitialState ? shard.readers[entity.rawValue].all : nil
      if let state { initialState.append((entity, state.answers)) }
      let range = hub.replayRange(
        entity, since: start, through: state?.sequence, isNewcomer: options.start == nil,
        withNotices: options.includesValues)
      // What is older than the initial state does not follow it.
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

  /// What the replay leaves out is older.
  private var replayStart = Revision.none

  private func isReplayed(_ notice: Notice) -> Bool {
    notice.revision >= replayStart && options.filter.includes(notice.entity, notice.key)
      && !(options.includesValues && notice.isWithoutValue)
  }

  // MARK: From the shard

  /// Takes a notice that the filter wants.
  func offer(_ notice: Notice) {
    guard let writer, !isEnding else { return }
    resyncInNewEpoch()
    if notice.number < covered[notice.entity.rawValue] { return }
    // A subscriber that comes from a server that is ahead has seen what is older than where it starts.
    if let startRevision, notice.revision < startRevision { return }
    if !isSending, queue.isEmpty, backlog.isEmpty, writer.isWritable {
      isSending = true
      send(notice)
      isSending = false
      if !queue.isEmpty { shard.continueSending(self) }
    } else {
      if queue.append(notice) {
        report.reached(.queuedKeys, "Sending RESYNC to a slow watch: its queue of changed keys is full")
        dropBacklog()
      }
      countQueue()
    }
  }

  /// Changes of an entity may have gone unseen. The cache has announced what differs from what it served; but a
  /// subscriber that came from another server may hold what was never served here.
  func missed() {
    guard writer != nil, !isEnding, mayHoldFromElsewhere else { return }
    resync()
  }

  /// A PROGRESS is due: everything up to `revision` has been offered.
  func progressIsDue(_ revision: Revision) {
    guard writer != nil, !isDraining else { return }
    resyncInNewEpoch()
    queue.append(progress: revision, reason: "")
    shard.continueSending(self)
  }

  /// Puts a RESYNC in the place of everything that waits.
  private func resync() {
    queue.resync(shard.observedRevision(of: entities))
    dropBacklog()
    countQueue()
    // What comes next would only be part of a RESYNC that waits.
    send(atMost: 4)
  }

  /// The RESYNC that waits says all that the backlog would, but for the mark at its end.
  private func dropBacklog() {
    mayHoldFromElsewhere = false
    guard !backlog.isEmpty else { return }
    hub.release(backlog.removeAll())
    queue.append(
      progress: shard.handedOverRevision(of: entities), reason: options.sendsInitialState ? "initial_state" : "")
  }

  /// Another database than before: what the watch was told of the one is nothing about the other.
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

  /// A RESYNC takes the place of what waits; where that is nothing, the watch ends.
  func giveUpBuffers() {
    guard let writer else { return }
    if queue.keyCount == 0, !backlog.holdsContents {
      end()
      let message = "this server buffers too many bytes for slow clients: watch fewer keys, or try again later"
      shard.buffers?.budget.reached(message)
      return writer.finish(RPCStatus(.resourceExhausted, message, detail: .retry(afterSeconds: 1)), RPCMetadata())
    }
    shard.buffers?.budget.reached("Sending RESYNC to a slow watch: too many bytes are buffered for all clients")
    resync()
  }

  func cancelled() {
    end()
  }

  /// Ends the watch if its caller may not have it any more.
  func checkCaller() {
    guard let identity = options.identity, let writer else { return }
    do throws(RPCStatus) {
      try identity.require(.watch)
      for entity in entities { try identity.require(entity.readRight) }
    } catch {
      end()
      writer.finish(error, RPCMetadata())
    }
  }

  /// Has the watch say what is left and a last PROGRESS, and end with OK.
  func draining() {
    guard writer != nil, !isDraining else { return }
    isDraining = true
    shard.end(self)
  }

  /// Everything up to `revision` has been offered, and everything that had come when the drain began.
  func end(at revision: Revision) {
    guard writer != nil, !isEnding else { return }
    resyncInNewEpoch()
    isEnding = true
    queue.append(progress: revision, reason: "draining")
    shard.continueSending(self)
  }

  // MARK: Sending

  /// Sends at most so much of what waits, as far as the slice goes.
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

  /// Sends the next thing, or finds that the backlog's next part is not wanted; false once there is none.
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

  /// Never one below the last one. What waits behind it must not be counted before it is sent.
  private func send(progress revision: Revision, reason: String) {
    position = max(position, revision)
    sendMark(.progress, nil, position, reason: reason)
  }

  private func sendInitial(_ entity: ServedEntity, _ answer: Answer) {
    let encoded = encodeNotice(
      kind: .upsert, entity, key: answer.key, revision: answer.revision, itemID: answer.entry.itemID,
      reason: "initial_state", committedAt: answer.committedAt, etag: answer.etagDigits,
      previousETag: "")
    send(encoded, value: answer, entity)
  }

  /// PROGRESS or RESYNC.
  private func sendMark(_ kind: NoticeKind, _ entity: ServedEntity?, _ revision: Revision, reason: String) {
    if kind == .resync { shard.counters.countResync() }
    let encoded = encodeNotice(kind: kind, entity, revision: revision, reason: reason)
    send(encoded, value: nil, nil)
  }

  private func send(_ notice: Notice) {
    send(notice.encoded, value: notice.answer, notice.entity)
  }

  private func send(_ encoded: [UInt8], value: Answer?, _ entity: ServedEntity?) {
    // The epoch's bytes are shared by all notices, where no value makes a head of its own necessary.
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

  // MARK: What it holds

  private func countQueue() {
    countBuffers()
    guard queue.keyCount != countedKeys else { return }
    shard.counters.addQueuedKeys(queue.keyCount - countedKeys)
    countedKeys = queue.keyCount
  }

  /// Brings the count of what it holds up to date.
  func countBuffers() {
    guard let buffers = shard.buffers else { return }
    var count = 0
    if writer != nil {
      count = Self.ownBytes + queue.keyCount * Self.queuedKeyBytes + backlog.byteCount
      // Watches of equal filters share one: it is charged to one of them.
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
