internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC

/// One watch: what it is about, what it has still to be told, and where it writes. On its worker's thread only.
///
/// First a PROGRESS, then the initial state where it is wanted, then notices as they come. What the peer does not take
/// waits in a bounded ``WatchQueue``.
final class WatchSession: RPCStreamHandler, BufferHolder {
  struct Wishes {
    var filter: WatchFilter
    /// Who watches; nil: anybody may.
    var identity: RPCIdentity?
    var includesValues: Bool
    var sendsInitialState: Bool
    var progressSeconds: Double
    /// Replay from here; nil: from now on.
    var start: Revision?
    /// The start is not of this database: nothing about it can be said.
    var isStartForeign = false
  }

  /// What comes before the notices of the present, in order.
  fileprivate enum Backlog {
    case resync(ServedEntity?)
    case notices(ArraySlice<Notice>)
    case answers(ServedEntity, ArraySlice<Answer>)
    case progress(Revision)
  }

  /// Of a key that waits, at most (see `WatchQueue`).
  private static let queuedKeyBytes = 24

  private let wishes: Wishes
  private let filterByteCount: Int
  private let lane: WatchLane
  private let hub: InvalidationHub
  private let report: LimitReport
  /// Nil once the watch is over.
  private var writer: (any RPCStreamWriter)?
  private var queue: WatchQueue
  /// Of them the lane knows.
  private var countedKeys = 0
  /// Of queue, backlog and filter.
  private(set) var bufferedByteCount = 0
  /// What is left of it, the next part last.
  private var backlog: [Backlog] = []
  /// Notices up to here are in the backlog.
  private var covered: [ServedEntity: UInt64] = [:]
  private var timer: (any RPCTimer)?
  private var isDraining = false
  /// The last PROGRESS has been said, or waits for its turn: nothing may follow it.
  private var isEnding = false
  /// The writer is being written to. It may call back from within: what that brings waits until the write is done.
  private var isSending = false
  /// The subscriber may hold what another server told it: until the first RESYNC, after which it asks here.
  private var mayHoldFromElsewhere: Bool
  /// Nothing older is wanted.
  private var startRevision: Revision?
  /// The lane's: the number of the first notice that this watch has not been given, and the epoch that it knows.
  var nextNotice = 0
  var epochGeneration = 0
  private var scratch = RPCReply()

  init(
    _ wishes: Wishes, lane: WatchLane, hub: InvalidationHub, writer: any RPCStreamWriter,
    maximumQueuedKeys: Int, report: LimitReport
  ) {
    self.report = report
    self.wishes = wishes
    self.lane = lane
    self.hub = hub
    self.writer = writer
    mayHoldFromElsewhere = wishes.start != nil
    // The initial state may be older than the start: then what lies between is news.
    startRevision = wishes.isStartForeign || wishes.sendsInitialState ? nil : wishes.start
    queue = WatchQueue(limit: maximumQueuedKeys)
    filterByteCount = wishes.filter.byteCount
  }

  func start() {
    // First in the lane, then the revision: what is newer than it reaches the watch. All of it before the first write,
    // which may call back.
    lane.add(self)
    let revision = lane.observedRevision(of: wishes.filter.entities)
    // Taken first and sent last, without what the replay says: so the replay is never older than the initial state.
    let initial = initialState()
    // From the revision that the first PROGRESS gives on nothing may be missed, and some of it was handed out before.
    var parts = replay(from: wishes.start ?? Revision(revision.rawValue + 1))
    if wishes.start != nil || wishes.sendsInitialState {
      let replayed = keys(of: parts)
      for (entity, answers) in initial {
        let rest =
          replayed.isEmpty ? answers : answers.filter { !replayed.contains(WatchKey(entity: entity, key: $0.key)) }
        parts.append(.answers(entity, rest[...]))
      }
      parts.append(.progress(revision))
    }
    backlog = parts.reversed()
    scheduleProgress()
    isSending = true
    sendMark(.progress, nil, revision, reason: "")
    isSending = false
    pump()
  }

  /// What changed since the start, or a RESYNC for what cannot be replayed exactly.
  private func replay(from start: Revision) -> [Backlog] {
    if wishes.isStartForeign { return [.resync(nil)] }
    return wishes.filter.entities.map { entity in
      let (notices, sequence) = hub.replay(
        entity, since: start, isNewcomer: wishes.start == nil, withValues: wishes.includesValues)
      guard let notices else { return .resync(entity) }
      // What the replay leaves out by its revision may still be newer than the initial state.
      covered[entity] = min(covered[entity] ?? sequence, sequence)
      return .notices(notices.filter { wishes.filter.includes(entity, $0.key) }[...])
    }
  }

  private func initialState() -> [(entity: ServedEntity, answers: [Answer])] {
    guard wishes.sendsInitialState else { return [] }
    return wishes.filter.entities.map { entity in
      let (answers, sequence) = lane.readers[entity.rawValue].all
      covered[entity] = sequence
      return (entity, Array(answers))
    }
  }

  private func keys(of parts: [Backlog]) -> Set<WatchKey> {
    var keys: Set<WatchKey> = []
    for case .notices(let notices) in parts {
      for notice in notices { keys.insert(WatchKey(entity: notice.entity, key: notice.key)) }
    }
    return keys
  }

  // MARK: From the lane

  func offer(_ notice: Notice) {
    guard let writer, !isEnding, wishes.filter.includes(notice.entity, notice.key) else { return }
    resyncInNewEpoch()
    if let covered = covered[notice.entity], notice.sequence <= covered { return }
    // Who comes from a server that is ahead has seen what is older than where it starts.
    if let startRevision, notice.revision < startRevision { return }
    if !isSending, queue.isEmpty, backlog.isEmpty, writer.isWritable {
      isSending = true
      send(notice)
      isSending = false
      if !queue.isEmpty { pump() }
    } else {
      if queue.append(notice) {
        report.reached(.queuedKeys, "a slow watch is told to look everything up again: too many keys wait for it")
        dropBacklog()
      }
      countQueue()
    }
  }

  /// Changes of the entity may have gone unseen. The cache has announced what differs from what it served; but who came
  /// from another server may hold what was never served here.
  func missed(_ entity: ServedEntity) {
    guard writer != nil, !isEnding, mayHoldFromElsewhere, wishes.filter.entities.contains(entity) else { return }
    queue.resync(lane.observedRevision(of: wishes.filter.entities))
    dropBacklog()
    pump()
  }

  /// The RESYNC that waits says all that the backlog would, but for the mark at its end.
  private func dropBacklog() {
    mayHoldFromElsewhere = false
    let isInitial = wishes.sendsInitialState && !backlog.isEmpty
    backlog = []
    if isInitial {
      queue.append(progress: lane.observedRevision(of: wishes.filter.entities), reason: "initial_state")
    }
  }

  // MARK: From the transport

  func writable() {
    pump()
  }

  /// A RESYNC takes the place of what waits; where that is nothing, the watch ends.
  func giveUpBuffers() {
    guard let writer else { return }
    if queue.keyCount == 0, backlog.byteCount == 0 {
      end()
      let message = "too many bytes wait on this server for slow callers: ask for fewer keys, or later"
      lane.buffers?.budget.reached(message)
      return writer.finish(RPCStatus(.resourceExhausted, message, detail: .retry(afterSeconds: 1)), RPCMetadata())
    }
    lane.buffers?.budget.reached("a slow watch is told to look everything up again: too much waits for all of them")
    queue.resync(lane.observedRevision(of: wishes.filter.entities))
    dropBacklog()
    countQueue()
    pump()
  }

  func cancelled() {
    end()
  }

  /// Ends the watch if its caller may not have it any more.
  func checkCaller() {
    guard let identity = wishes.identity, let writer else { return }
    do throws(RPCStatus) {
      try identity.require(.watch)
      for entity in wishes.filter.entities { try identity.require(entity.readRight) }
    } catch {
      end()
      writer.finish(error, RPCMetadata())
    }
  }

  /// Says what is left, a last PROGRESS, and ends with OK.
  func draining() {
    guard writer != nil, !isDraining else { return }
    isDraining = true
    let revision = lane.observedRevision(of: wishes.filter.entities)
    lane.drainInbox()
    guard writer != nil else { return }
    isEnding = true
    queue.append(progress: revision, reason: "draining")
    pump()
  }

  // MARK: Beneath

  private func pump() {
    guard !isSending else { return }
    isSending = true
    defer {
      isSending = false
      countQueue()
    }
    while let writer, writer.isWritable {
      if sendBacklog() { continue }
      switch queue.popFirst() {
      case .notice(let notice):
        send(notice)
      case .progress(let revision, let reason):
        sendMark(.progress, nil, revision, reason: reason)
      case .resync(let revision):
        sendMark(.resync, nil, revision, reason: "resync")
      case nil:
        if isEnding {
          end()
          writer.finish(.ok, RPCMetadata())
        }
        return
      }
    }
  }

  /// Sends the next part of the backlog; false once there is none.
  private func sendBacklog() -> Bool {
    guard let part = backlog.popLast() else { return false }
    switch part {
    case .resync(let entity):
      let revision = lane.observedRevision(of: entity.map { [$0] } ?? wishes.filter.entities)
      sendMark(.resync, entity, revision, reason: "resync")
    case .progress(let revision):
      sendMark(.progress, nil, revision, reason: wishes.sendsInitialState ? "initial_state" : "")
    case .notices(var notices):
      guard let notice = notices.popFirst() else { break }
      if !notices.isEmpty { backlog.append(.notices(notices)) }
      send(notice)
    case .answers(let entity, var answers):
      guard let answer = answers.popFirst() else { break }
      if !answers.isEmpty { backlog.append(.answers(entity, answers)) }
      if wishes.filter.includes(entity, answer.key) { sendInitial(entity, answer) }
    }
    return true
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
    if kind == .resync { lane.counters.countResync() }
    let encoded = encodeNotice(kind: kind, entity, revision: revision, reason: reason)
    send(encoded, value: nil, nil)
  }

  private func send(_ notice: Notice) {
    send(notice.encoded, value: notice.answer, notice.entity)
  }

  private func send(_ encoded: [UInt8], value: Answer?, _ entity: ServedEntity?) {
    // The epoch's bytes are shared by all notices, where no value makes a head of its own necessary.
    scratch.head = lane.epochField
    if wishes.includesValues, let value, let entity {
      scratch.head.append(contentsOf: encoded)
      ProtobufWriter.lengthPrefix(entity.noticeValueField, value.entry.bytes.count, to: &scratch.head)
      scratch.body = value.entry.bytes
    } else {
      scratch.body = encoded
    }
    lane.counters.countNotice()
    writer?.send(scratch)
    scratch.reset()
  }

  private func countQueue() {
    countBuffers()
    guard queue.keyCount != countedKeys else { return }
    lane.counters.addQueuedKeys(queue.keyCount - countedKeys)
    countedKeys = queue.keyCount
  }

  private func countBuffers() {
    guard let buffers = lane.buffers else { return }
    let count = writer == nil ? 0 : filterByteCount + queue.keyCount * Self.queuedKeyBytes + backlog.byteCount
    guard count != bufferedByteCount else { return }
    let before = bufferedByteCount
    bufferedByteCount = count
    buffers.change(self, from: before, to: count)
  }

  private func scheduleProgress() {
    timer = lane.schedule(afterSeconds: wishes.progressSeconds) { [weak self] in
      guard let self, self.writer != nil, !self.isDraining else { return }
      // First the revision, then the inbox: every notice up to the revision goes out before it.
      let revision = self.lane.observedRevision(of: self.wishes.filter.entities)
      self.lane.drainInbox()
      guard self.writer != nil, !self.isDraining else { return }
      self.resyncInNewEpoch()
      self.queue.append(progress: revision, reason: "")
      self.scheduleProgress()
      self.pump()
    }
  }

  /// Another database than before: what the watch has said of the one says nothing of the other.
  private func resyncInNewEpoch() {
    guard epochGeneration != lane.epochGeneration else { return }
    epochGeneration = lane.epochGeneration
    startRevision = nil
    queue.resync(lane.observedRevision(of: wishes.filter.entities))
    dropBacklog()
    pump()
  }

  private func end() {
    timer?.cancel()
    timer = nil
    writer = nil
    queue.removeAll()
    countQueue()
    backlog = []
    lane.remove(self)
  }
}

extension [WatchSession.Backlog] {
  /// Of the places that lists take; what they lead to is shared.
  fileprivate var byteCount: Int {
    reduce(0) { sum, part in
      switch part {
      case .notices(let notices): sum + notices.count * MemoryLayout<Notice>.stride
      case .answers(_, let answers): sum + answers.count * MemoryLayout<Answer>.stride
      case .resync, .progress: sum
      }
    }
  }
}
