// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// An open change stream. It requests batches like a driver, and returns their events one by one.
///
/// Without a majority, the operation time of a reply is the current time, but the events of the reply may end earlier:
/// where the batch was full, for example. The next reply contains everything up to the operation time of the previous
/// one. With a majority, each reply ends at the commit point or earlier, and its token proves what it contains.
final class SimulatedStream: DocumentStream {
  private let source: SimulatedSource
  private let generation: Int
  /// The copy of the database that the stream follows. A copy that was replaced delivers no events.
  private let copyNumber: Int
  /// The index of the next event to request.
  private var place: Int
  private var batch: ArraySlice<(change: DocumentChange, place: Int)> = []
  private var operationTime: Revision
  /// The current position, its time, and whether the server may have more events of this time.
  private var token: (place: Int, time: Revision)
  /// The position that is reached when the events of the last reply have been returned.
  private var end: (place: Int, time: Revision, isWhole: Bool, isStart: Bool)
  /// The changes that have been returned, as the tokens prove.
  private var received: ReceivedWatermark
  /// The time of the request that the last reply answers.
  private var askedAt: MonotonicTime
  /// The last write of the database when the last reply was made.
  private var databaseTime: Revision

  init(_ source: SimulatedSource, place: Int, time: Revision, generation: Int, copyNumber: Int) {
    self.copyNumber = copyNumber
    self.source = source
    self.generation = generation
    self.place = place
    token = (place, time)
    end = (place, time, false, true)
    received = ReceivedWatermark(before: time)
    askedAt = source.clock.now
    operationTime = source.database.reported
    databaseTime = source.database.now
    if !source.looksUpLate, place > 0, place < source.database.oplog.count {
      operationTime = source.database.oplog[place - 1].time
    }
  }

  var resumeToken: ResumeToken? { ResumeToken(place: token.place, time: token.time, copyNumber: copyNumber) }

  var progress: StreamProgress {
    StreamProgress(
      reportedTime: operationTime, askedAt: askedAt, received: source.database.hasMajority ? received : nil,
      databaseTime: databaseTime, hasMore: !batch.isEmpty)
  }

  func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange? {
    if batch.isEmpty { try ask() }
    source.askedAt = max(source.askedAt, askedAt)
    let next = batch.popFirst()
    token = next.map { ($0.place + 1, $0.change.revision) } ?? token
    if batch.isEmpty {
      token = (end.place, end.time)
      let watermark = end.isWhole ? ReceivedWatermark(through: end.time) : ReceivedWatermark(before: end.time)
      received = max(received, watermark)
    }
    if batch.isEmpty { source.majorityLag = progress.majorityLag }
    return next?.change
  }

  func close() {}

  private func ask() throws(SourceError) {
    try source.check(generation)
    let asked = source.clock.now
    source.onTheWay(false)
    try source.check(generation)
    let database = source.database
    guard place >= database.floor else {
      throw SourceError(.historyLost, code: 286, "history lost", isFromServer: true)
    }
    let now = database.reported
    let isBehind = source.chance.once(in: 4) && operationTime < now
    let end = isBehind ? Revision(source.chance.between(operationTime.rawValue, now.rawValue)) : now
    let limit = source.looksUpLate ? 1 + source.chance.below(4) : 1
    var events: [(change: DocumentChange, place: Int)] = []
    let isBlind = copyNumber != database.copyNumber
    while !isBlind, place < database.visibleCount, database.oplog[place].time <= end, events.count < limit {
      let event = database.oplog[place]
      if event.change.collection == source.collection { events.append((delivered(event), place)) }
      place += 1
    }
    // If the time of a reply equals that of its one event, the time of the document's lookup is certain.
    // The token of an event, if the reply ends at one, and otherwise a mark: the server has read its log up to `end`.
    let last = events.last.flatMap { events.count == limit || $0.change.revision == end ? $0 : nil }
    let time = last?.change.revision ?? max(end, self.end.time)
    let isNew = last != nil || time > self.end.time
    // An empty reply that finds nothing new leaves the token as it is, but completes the group of its event. It proves
    // nothing about the time of the token with which the stream was opened.
    self.end = (place, time, last == nil && (isNew || !self.end.isStart), !isNew && self.end.isStart)
    operationTime = source.looksUpLate ? now : max(operationTime, events.first?.change.revision ?? end)
    databaseTime = database.now
    batch = events[...]
    // A received reply is read regardless of its delay, also if the connection has failed since.
    source.onTheWay(true)
    askedAt = asked
  }

  private func delivered(_ event: SimulatedDatabase.Event) -> DocumentChange {
    let operation: DocumentChange.Operation
    var id: String?
    switch event.change {
    case .insert(let document):
      (operation, id) = (event.document.map { .insert($0) } ?? .delete, document.id)
    case .replace(let document):
      (operation, id) = (event.document.map { .replace($0) } ?? .delete, document.id)
    case .update(let document) where source.imageOnceIn > 0 && source.chance.once(in: source.imageOnceIn):
      (operation, id) = (event.document.map { .update($0) } ?? .delete, document.id)
    case .update(let document):
      let asOf =
        source.looksUpLate ? source.database.majorityTime(notBefore: event.time, &source.chance) : event.time
      let lookedUp = source.database.document(source.collection, document.id, asOf: asOf)?.1
      (operation, id) = (.updateLookedUp(lookedUp), document.id)
    case .delete(_, let gone):
      (operation, id) = (.delete, gone)
    case .drop(_, let name):
      operation = .invalidate(name)
    case .unknown:
      operation = .unknown("frobnicate")
    }
    return DocumentChange(
      operation, id: id.map { DocumentID($0) }, revision: event.time,
      touchedFields: event.fields, isInTransaction: event.isInTransaction)
  }
}
