internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC

/// One watch: what it is about, what it has still to be told, and where it writes. On its worker's thread only.
///
/// First a PROGRESS, then the initial state where it is wanted, then notices as they come. What the peer does not take
/// waits in a bounded ``WatchQueue``.
final class WatchSession: RPCStreamHandler {
  struct Wishes {
    var filter: WatchFilter
    var includesValues: Bool
    var sendsInitialState: Bool
    var progressSeconds: Double
  }

  private let wishes: Wishes
  private let lane: WatchLane
  private let epoch: EpochSource
  /// Nil once the watch is over.
  private var writer: (any RPCStreamWriter)?
  private var queue: WatchQueue
  /// What is left of the initial state, the last entity first.
  private var initial: [(entity: ServedEntity, answers: ArraySlice<Answer>)] = []
  /// Notices up to here are in the initial state.
  private var covered: [ServedEntity: UInt64] = [:]
  private var timer: (any RPCTimer)?
  private var isDraining = false
  /// The last PROGRESS has been said, or waits for its turn: nothing may follow it.
  private var isEnding = false
  /// The writer is being written to. It may call back from within: what that brings waits until the write is done.
  private var isSending = false
  /// The lane's: the number of the first notice that this watch has not been given.
  var nextNotice = 0
  private var scratch = RPCReply()

  init(_ wishes: Wishes, lane: WatchLane, epoch: EpochSource, writer: any RPCStreamWriter, maximumQueuedKeys: Int) {
    self.wishes = wishes
    self.lane = lane
    self.epoch = epoch
    self.writer = writer
    queue = WatchQueue(limit: maximumQueuedKeys)
  }

  func start() {
    // First in the lane, then the revision: what is newer than it reaches the watch. All of it before the first write,
    // which may call back.
    lane.add(self)
    let revision = lane.observedRevision(of: wishes.filter.entities)
    if wishes.sendsInitialState {
      for entity in wishes.filter.entities.reversed() {
        let (answers, sequence) = lane.readers[entity.rawValue].all
        covered[entity] = sequence
        initial.append((entity, answers[...]))
      }
      queue.append(progress: revision, reason: "initial_state")
    }
    scheduleProgress()
    isSending = true
    send(encodeNotice(kind: .progress, revision: revision, epoch: epoch.current, reason: ""), value: nil, nil)
    isSending = false
    pump()
  }

  // MARK: From the lane

  func offer(_ notice: Notice) {
    guard let writer, !isEnding, wishes.filter.includes(notice.entity, notice.key) else { return }
    if let covered = covered[notice.entity], notice.sequence <= covered { return }
    if !isSending, queue.isEmpty, initial.isEmpty, writer.isWritable {
      isSending = true
      send(notice)
      isSending = false
      if !queue.isEmpty { pump() }
    } else if queue.append(notice) {
      initial = []
    }
  }

  // MARK: From the transport

  func writable() {
    pump()
  }

  func cancelled() {
    end()
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
    defer { isSending = false }
    while let writer, writer.isWritable {
      if sendInitial() { continue }
      switch queue.popFirst() {
      case .notice(let notice):
        send(notice)
      case .progress(let revision, let reason):
        send(encodeNotice(kind: .progress, revision: revision, epoch: epoch.current, reason: reason), value: nil, nil)
      case .resync(let revision):
        send(encodeNotice(kind: .resync, revision: revision, epoch: epoch.current, reason: "resync"), value: nil, nil)
      case nil:
        if isEnding {
          end()
          writer.finish(.ok, RPCMetadata())
        }
        return
      }
    }
  }

  /// Sends the next part of the initial state; false once there is none.
  private func sendInitial() -> Bool {
    guard var last = initial.popLast() else { return false }
    guard let answer = last.answers.popFirst() else { return true }
    if !last.answers.isEmpty { initial.append(last) }
    guard wishes.filter.includes(last.entity, answer.key) else { return true }
    let encoded = encodeNotice(
      kind: .upsert, last.entity, key: answer.key, revision: answer.revision, itemID: answer.entry.itemID,
      epoch: epoch.current, reason: "initial_state", committedAt: answer.committedAt, etag: answer.entry.etagText,
      previousETag: "")
    send(encoded, value: answer, last.entity)
    return true
  }

  private func send(_ notice: Notice) {
    send(notice.encoded, value: notice.answer, notice.entity)
  }

  private func send(_ encoded: [UInt8], value: Answer?, _ entity: ServedEntity?) {
    scratch.reset()
    if wishes.includesValues, let value, let entity {
      scratch.head.append(contentsOf: encoded)
      ProtobufWriter.lengthPrefix(entity.noticeValueField, value.entry.bytes.count, to: &scratch.head)
      scratch.body = value.entry.bytes
    } else {
      scratch.body = encoded
    }
    writer?.send(scratch)
    scratch.body = []
  }

  private func scheduleProgress() {
    timer = lane.schedule(afterSeconds: wishes.progressSeconds) { [weak self] in
      guard let self, self.writer != nil, !self.isDraining else { return }
      // First the revision, then the inbox: every notice up to the revision goes out before it.
      let revision = self.lane.observedRevision(of: self.wishes.filter.entities)
      self.lane.drainInbox()
      guard self.writer != nil, !self.isDraining else { return }
      self.queue.append(progress: revision, reason: "")
      self.scheduleProgress()
      self.pump()
    }
  }

  private func end() {
    timer?.cancel()
    timer = nil
    writer = nil
    queue.removeAll()
    initial = []
    lane.remove(self)
  }
}
