// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A collection of the simulated database, over a connection of one cache of one server that can fail anywhere.
// Safe to share: a simulation runs on one thread.
final class SimulatedSource: DocumentSource, @unchecked Sendable {
  let collection: Collection
  let database: SimulatedDatabase
  let clock: SimulatedClock
  var chance: Chance
  /// Whether the database answers.
  var isReachable = true
  /// Whether the collection can be read. It can always be followed.
  var isReadable = true
  /// The generation of connections. Streams and reads of an older generation have lost their connection.
  private(set) var generation = 0
  /// The concurrent events while a read is in progress.
  var betweenRows: () -> Void = {}
  private(set) var readCount = 0
  /// Records the cache's requests to the database.
  var log: (String) -> Void = { _ in }
  /// The concurrent events while a request is on its way to the database (false), or its reply on the way back (true).
  var onTheWay: (Bool) -> Void = { _ in }
  /// The time by which the stream was behind the database in the last reply that the cache has read.
  var majorityLag = Duration.zero
  /// The time of the last request whose reply the cache has read.
  var askedAt: MonotonicTime
  /// The position at which the current stream first began, before it was resumed.
  private var firstPlace = 0
  /// The same events are delivered again once in this number of openings; 0 for never.
  private let duplicatesOnceIn: Int
  let looksUpLate: Bool
  let imageOnceIn: Int

  init(
    _ collection: Collection, _ database: SimulatedDatabase, _ clock: SimulatedClock, _ chance: Chance,
    duplicatesOnceIn: Int, looksUpLate: Bool, imageOnceIn: Int
  ) {
    self.collection = collection
    self.database = database
    self.clock = clock
    self.chance = chance
    self.duplicatesOnceIn = duplicatesOnceIn
    self.looksUpLate = looksUpLate
    self.imageOnceIn = imageOnceIn
    askedAt = clock.now
  }

  /// Breaks the connection.
  func disconnect() {
    generation += 1
  }

  func check(_ generation: Int) throws(SourceError) {
    guard isReachable, generation == self.generation else { throw SourceError(.transient, "connection lost") }
  }

  // MARK: DocumentSource

  func identity() throws(SourceError) -> String {
    try check(generation)
    return "simulated/\(collection.entity)"
  }

  func openStream(
    resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
  ) throws(SourceError) -> any DocumentStream {
    try check(generation)
    var place = database.visibleCount
    if let token {
      place = token.place
      guard place >= database.floor else {
        throw SourceError(.historyLost, code: 286, "history lost", isFromServer: true)
      }
      if duplicatesOnceIn > 0, chance.once(in: duplicatesOnceIn) {
        place = max(database.floor, firstPlace, place - 1 - chance.below(3))
      }
    } else if chance.once(in: 2) {
      // A start at a time is inclusive.
      while place > database.floor, database.oplog[place - 1].time == database.reported { place -= 1 }
    }
    if token == nil { firstPlace = place }
    log("opens a stream of \(collection.entity)\(token == nil ? "" : ", resuming")")
    return SimulatedStream(
      self, place: place, time: token?.time ?? Revision(database.reported.rawValue - 1), generation: generation,
      copyNumber: token?.copyNumber ?? database.copyNumber)
  }

  func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision {
    try check(generation)
    log("reads \(collection.entity)")
    guard isReadable else { throw SourceError(.transient, "the read failed") }
    let generation = generation
    var ids = database.readableIDs(collection)
    var seen = Set(ids)
    var asOf = revision
    var end = database.reported
    var asked = clock.now
    while !ids.isEmpty {
      try check(generation)
      asked = clock.now
      asOf = database.majorityTime(notBefore: asOf, &chance)
      end = database.reported
      let batch = ids.prefix(1 + chance.below(3)).map { database.document(collection, $0, asOf: asOf) }
      ids.removeFirst(batch.count)
      for case let (model, document)? in batch where model.isInFilter {
        guard body(document) else { return end }
        betweenRows()
      }
      betweenRows()
      // A document that was inserted meanwhile may be found or not.
      if ids.isEmpty, chance.once(in: 2) {
        ids = database.readableIDs(collection).filter { seen.insert($0).inserted }
      }
    }
    try check(generation)
    readCount += 1
    askedAt = max(askedAt, asked)
    return end
  }

  func readHistory(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) {
    try check(generation)
    let (generation, first) = (generation, database.floor)
    guard first == 0 || first < database.oplog.count && database.oplog[first].time <= revision else {
      throw SourceError(.historyLost, code: 286, "history lost", isFromServer: true)
    }
    database.wait(for: end)
    for event in database.oplog[first...] where event.time >= revision && event.time <= end {
      guard event.change.collection == collection else { continue }
      let (operation, id) = past(event)
      guard body(PastChange(operation, id: id.map { DocumentID($0) }, revision: event.time)) else { return }
      betweenRows()
      try check(generation)
    }
  }

  private func past(_ event: SimulatedDatabase.Event) -> (PastChange.Operation, id: String?) {
    switch (event.change, event.document) {
    case (.insert(let new), let document?): (.insert(document), new.id)
    case (.replace(let new), let document?): (.replace(document), new.id)
    case (.update(let new), _): (.update(fields: event.fields), new.id)
    case (.delete(_, let gone), _): (.delete, gone)
    case (.drop(_, let name), _): (.other(name), nil)
    case (.unknown, _), (.insert, nil), (.replace, nil): (.other("frobnicate"), nil)
    }
  }
}

extension ResumeToken {
  /// The position of a stream in the oplog, its time, and the copy of the database that the stream follows.
  init(place: Int, time: Revision, copyNumber: Int) {
    // The document {"at": place, "of": copyNumber, "t": time}, with int32 values and a timestamp.
    var bytes: [UInt8] = [32, 0, 0, 0]
    for (name, number) in [("at", place), ("of", copyNumber)] {
      bytes.append(0x10)
      bytes += Array(name.utf8) + [0]
      withUnsafeBytes(of: Int32(number).littleEndian) { bytes += $0 }
    }
    bytes += [0x11, UInt8(ascii: "t"), 0]
    withUnsafeBytes(of: time.rawValue.littleEndian) { bytes += $0 }
    bytes.append(0)
    self.init(BSONDocument(uncheckedBytes: bytes))
  }

  var place: Int { number("at") }
  var copyNumber: Int { number("of") }
  var time: Revision {
    document.withObject { $0.value("t")?.timestamp.map(Revision.init(seconds:increment:)) ?? .none }
  }

  private func number(_ field: String) -> Int {
    document.withObject { Int($0.value(field)?.int32 ?? 0) }
  }
}
