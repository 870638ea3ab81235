internal import ChangeStreamCache
internal import Core
internal import ProtobufMessages
internal import RPC

/// The short way of a lookup on one worker: a key and nothing else in the request, and a value for it. Whatever else
/// comes, or is found, is left to the method's handler. What is the same for all lookups of a turn is written once.
final class PlainLookup: RPCPlainCalls, RPCTurnObserver {
  /// Where to look, by the number of the request's field; nil: such requests are not plain.
  private let spaces: [UInt8?]
  private let right: RPCRight
  private let service: LookupService
  private let state: WorkerState
  private let entity: ServedEntity
  private let reader: CacheReader
  private let answers: AnswerReader
  private let counters: LookupCounters
  /// What stands in a reply before the metadata.
  private let lead: [UInt8]
  /// For the head of a reply.
  private let room: UnsafeMutableRawPointer
  /// For the last fields of `LookupMetadata`, as of `observed` and this turn.
  private let tailRoom: UnsafeMutableRawPointer
  private var tailCount = 0
  /// Of the calls that were announced; nil: not plain.
  private let prepared: UnsafeMutablePointer<AnswerQuery?>
  private var preparedCount = 0
  /// Of what is written in `room`, for answers of this revision; 0: of none.
  private var writtenRevision: UInt64 = 0
  private var etagPlace = 0
  /// Up to the value.
  private var headCount = 0
  private var observed = Revision.none
  private var identityGeneration = -1
  private var isValid = false
  /// Milliseconds, as the tail says.
  private var age: UInt64 = 0
  private var phase = Phase.between

  private static let maximumTailBytes = 512

  private enum Phase {
    /// No lookup has come in this turn.
    case between
    case open
    /// What there is must not be served without a closer look.
    case closed
  }

  /// `lead`: what stands in a reply before the metadata.
  init(
    _ service: LookupService, _ state: WorkerState, _ entity: ServedEntity, spaces: [UInt8?], lead: [UInt8] = []
  ) {
    self.spaces = spaces
    right = entity.readRight
    self.service = service
    self.state = state
    self.entity = entity
    self.lead = lead
    reader = service.caches[entity.rawValue].reader
    answers = reader.makeReader()
    counters = state.counters[entity.rawValue]
    tailRoom = .allocate(byteCount: Self.maximumTailBytes, alignment: 16)
    prepared = .allocate(capacity: maximumPlainCalls)
    prepared.initialize(repeating: nil, count: maximumPlainCalls)
    room = .allocate(byteCount: Self.maximumTailBytes + lead.count + 128, alignment: 16)
  }

  deinit {
    room.deallocate()
    tailRoom.deallocate()
    prepared.deallocate()
  }

  func prepare(for messages: UnsafeBufferPointer<UnsafeRawBufferPointer>) {
    if phase == .between {
      begin()
    } else if phase == .open, reader.ageMilliseconds != age {
      // The requests were read after the tail was written: the age counts up to when they were.
      writeTail()
    }
    preparedCount = 0
    guard phase == .open else { return }
    for message in messages.prefix(maximumPlainCalls) {
      var query: AnswerQuery?
      if let sole = SoleField(message), Int(sole.number) < spaces.count, let space = spaces[Int(sole.number)],
        isPlainText(sole.text.buffer)
      {
        query = answers.query(space: space, key: sole.text.buffer)
      }
      prepared[preparedCount] = query
      preparedCount += 1
    }
    guard preparedCount > 1 else { return }
    for place in 0..<preparedCount { if let query = prepared[place] { answers.prefetch(query) } }
  }

  func reply(at place: Int, _ identity: RPCIdentity?) -> RPCPlainReply? {
    if let identity, !identity.isKnownToHave(right) { return nil }
    guard place < preparedCount, let query = prepared[place] else { return nil }
    // First the revision, then the answer, which is at least as new.
    let now = reader.observedRevision
    if now != observed || reader.identityGeneration != identityGeneration { writeTail() }
    answers.advance()
    guard phase == .open, let answer = answers.find(query) else { return nil }
    return answer._withUnsafeGuaranteedRef { answer in
      if answer.namesOthers { return nil }
      counters.count(isValid: isValid)
      return RPCPlainReply(head: head(answer), body: answer.lentBytes)
    }
  }

  func turnEnded() {
    phase = .between
    answers.leave()
  }

  private func begin() {
    guard service.isWarm, state.tellAtTurnEnd(self) else { return }
    answers.enter()
    phase = .open
    writeTail()
  }

  private func writeTail() {
    // First the generation: a change in between is seen with the next lookup.
    identityGeneration = reader.identityGeneration
    let view = state.view(entity)
    observed = view.observed
    isValid = view.isValid
    age = view.ageMilliseconds
    if (try? service.requireFresh(view)) == nil { phase = .closed }
    precondition(service.tailBytes(state) <= Self.maximumTailBytes, "an epoch of too many bytes")
    var out = ProtobufCursor(place: tailRoom)
    service.writeTail(of: view, state, to: &out)
    tailCount = out.place - tailRoom
    writtenRevision = 0
  }

  /// As ``LookupService/fill(_:_:_:_:_:)`` writes it. Only the etag and the value's length differ from those of the
  /// last answer, where both are of one revision: all answers that were read in one snapshot are.
  private func head(_ answer: Answer) -> UnsafeRawBufferPointer {
    let revision = answer.revision.rawValue
    if revision != writtenRevision || revision == 0 { writeHead(revision) }
    (room + etagPlace).storeBytes(of: answer.etagDigits, as: SIMD32<UInt8>.self)
    var out = ProtobufCursor(place: room + headCount)
    out.prefix(1, answer.lentBytes.count)
    return UnsafeRawBufferPointer(start: room, count: out.place - room)
  }

  private func writeHead(_ revision: UInt64) {
    let etagBytes = MemoryLayout<SIMD32<UInt8>>.size
    var out = ProtobufCursor(place: room)
    lead.withUnsafeBytes { out.raw($0) }
    out.prefix(2, ProtobufCursor.unsignedSize(revision) + 2 + etagBytes + tailCount)
    out.unsigned(1, revision)
    out.prefix(2, etagBytes)
    etagPlace = out.place - room
    out.place += etagBytes
    out.raw(UnsafeRawBufferPointer(start: tailRoom, count: tailCount))
    headCount = out.place - room
    writtenRevision = revision
  }
}
