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
  private var scratch = RPCReply()

  init(_ wishes: Wishes, lane: WatchLane, epoch: EpochSource, writer: any RPCStreamWriter, maximumQueuedKeys: Int) {
    self.wishes = wishes
    self.lane = lane
    self.epoch = epoch
    self.writer = writer
    queue = WatchQueue(limit: maximumQueuedKeys)
  }

  func start() {
    // First in the lane, then the revision: what is newer than it reaches the watch.
    lane.add(self)
    let revision = lane.observedRevision(of: wishes.filter.entities)
    send(encodeNotice(kind: .progress, revision: revision, epoch: epoch.current, reason: ""), value: nil, nil)
    if wishes.sendsInitialState {
      for entity in wishes.filter.entities.reversed() {
        let (answers, sequence) = lane.readers[entity.rawValue].all
        covered[entity] = sequence
        initial.append((entity, answers[...]))
      }
      queue.append(progress: revision, reason: "initial_state")
    }
    scheduleProgress()
    pump()
  }

  // MARK: From the lane

  func offer(_ notice: Notice) {
    guard writer != nil, wishes.filter.includes(notice.entity, notice.key) else { return }
    if let covered = covered[notice.entity], notice.sequence <= covered { return }
    if queue.isEmpty, initial.isEmpty, writer?.isWritable == true {
      send(notice)
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
    let revision = lane.observedRevision(of: wishes.filter.entities)
    lane.drainInbox()
    isDraining = true
    queue.append(progress: revision, reason: "draining")
    pump()
  }

  // MARK: Beneath

  private func pump() {
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
        if isDraining {
          writer.finish(.ok, RPCMetadata())
          end()
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
      self.queue.append(progress: revision, reason: "")
      self.pump()
      self.scheduleProgress()
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
