// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ProtobufMessages

/// The fast path of lookups on one worker, for requests with a key and no other field that find a value. All other
/// requests are left to the method's handler. The parts of the reply that are equal in an event-loop iteration are
/// encoded once.
final class PlainLookup: RPCPlainCalls, RPCIterationObserver {
  /// The key space of each field number of the request; nil if such a request is not for the fast path.
  private let spaces: [UInt8?]
  private let permission: RPCPermission
  private let service: LookupService
  private let state: WorkerState
  private let entity: ServedEntity
  private let reader: CacheReader
  private let answers: AnswerReader
  private let counters: LookupCounters
  /// The encoded fields of a reply before the metadata.
  private let lead: [UInt8]
  /// Memory for the head of a reply.
  private let room: UnsafeMutableRawPointer
  /// Memory for the last fields of `LookupMetadata`, as of `observed` and this event-loop iteration.
  private let tailRoom: UnsafeMutableRawPointer
  private var tailCount = 0
  /// The queries of the prepared calls; nil for a call that is not for the fast path.
  private let prepared: UnsafeMutablePointer<AnswerQuery?>
  private var preparedCount = 0
  /// The revision for which the head in `room` is encoded; 0 for none.
  private var writtenRevision: UInt64 = 0
  private var etagPlace = 0
  /// The size of the head up to the value.
  private var headCount = 0
  private var observed = Revision.none
  private var identityGeneration = -1
  private var isValid = false
  private var isBehind = false
  /// The age in milliseconds that the tail contains.
  private var age: UInt64 = 0
  private var phase = Phase.between

  private static let maximumTailBytes = 512

  private enum Phase {
    /// No lookup has been made in this event-loop iteration.
    case between
    case open
    /// The contents must not be served without the checks of the general path.
    case closed
  }

  /// - Parameter lead: the encoded fields of a reply before the metadata.
  init(
    _ service: LookupService, _ state: WorkerState, _ entity: ServedEntity, spaces: [UInt8?], lead: [UInt8] = []
  ) {
    self.spaces = spaces
    permission = entity.readPermission
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
    if let identity, !identity.isKnownToHave(permission) { return nil }
    guard place < preparedCount, let query = prepared[place] else { return nil }
    // The revision is read before the answer, which is at least as new.
    let now = reader.observedRevision
    if now != observed || reader.identityGeneration != identityGeneration || reader.isBehindMajority != isBehind {
      writeTail()
    }
    answers.advance()
    guard phase == .open, let answer = answers.find(query) else { return nil }
    return answer._withUnsafeGuaranteedRef { answer in
      if answer.namesOthers { return nil }
      counters.count(isValid: isValid)
      return RPCPlainReply(head: head(answer), body: answer.lentBytes)
    }
  }

  func onIterationEnd() {
    phase = .between
    answers.leave()
  }

  private func begin() {
    guard service.isWarm, state.observeIterationEnd(self) else { return }
    answers.enter()
    phase = .open
    writeTail()
  }

  private func writeTail() {
    // The generation is read first: a change in between is detected by the next lookup.
    identityGeneration = reader.identityGeneration
    let view = state.view(entity)
    observed = view.observed
    (isValid, isBehind) = (view.isValid, view.isBehind)
    age = view.ageMilliseconds
    if (try? service.requireFresh(view)) == nil { phase = .closed }
    precondition(service.tailBytes(state) <= Self.maximumTailBytes, "an epoch of too many bytes")
    var out = ProtobufCursor(place: tailRoom)
    service.writeTail(of: view, state, to: &out)
    tailCount = out.place - tailRoom
    writtenRevision = 0
  }

  /// Writes the same bytes as ``LookupService/fill(_:_:_:_:_:)``. Only the etag and the value's length differ from
  /// those of the last answer, where both are of one revision: all answers that were read in one snapshot are.
  private func head(_ answer: CachedAnswer) -> UnsafeRawBufferPointer {
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
