// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// An open change stream. It requests batches like a driver, and returns their events one by one.
///
/// The operation time of a reply is the current time, but the events of the reply may end earlier: at the majority
/// commit point, or where the batch was full. The next reply contains everything up to the operation time of the
/// previous one.
final class SimulatedStream: DocumentStream {
  private let source: SimulatedSource
  private let generation: Int
  /// The copy of the database that the stream follows. A copy that was replaced delivers no events.
  private let copyNumber: Int
  /// The index of the next event to request.
  private var place: Int
  private var batch: ArraySlice<(change: DocumentChange, place: Int)> = []
  private(set) var operationTime: Revision
  private var tokenPlace: Int
  /// The time of the request that the last reply answers.
  private(set) var askedAt: MonotonicTime

  init(_ source: SimulatedSource, place: Int, generation: Int, copyNumber: Int) {
    self.copyNumber = copyNumber
    self.source = source
    self.generation = generation
    self.place = place
    tokenPlace = place
    askedAt = source.clock.now
    operationTime = source.database.now
    if !source.looksUpLate, place > 0, place < source.database.oplog.count {
      operationTime = source.database.oplog[place - 1].time
    }
  }

  var resumeToken: ResumeToken? { ResumeToken(place: tokenPlace, copyNumber: copyNumber) }

  func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange? {
    if batch.isEmpty { try ask() }
    source.askedAt = max(source.askedAt, askedAt)
    guard let (change, place) = batch.popFirst() else {
      tokenPlace = self.place
      return nil
    }
    tokenPlace = place + 1
    return change
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
    let isBehind = source.chance.once(in: 4) && operationTime < database.now
    let end =
      isBehind ? Revision(source.chance.between(operationTime.rawValue, database.now.rawValue)) : database.now
    let limit = source.looksUpLate ? 1 + source.chance.below(4) : 1
    var events: [(change: DocumentChange, place: Int)] = []
    let isBlind = copyNumber != database.copyNumber
    while !isBlind, place < database.visibleCount, database.oplog[place].time <= end, events.count < limit {
      let event = database.oplog[place]
      if event.change.collection == source.collection { events.append((delivered(event), place)) }
      place += 1
    }
    // If the time of a reply equals that of its one event, the time of the document's lookup is certain.
    operationTime = source.looksUpLate ? database.now : max(operationTime, events.first?.change.revision ?? end)
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
