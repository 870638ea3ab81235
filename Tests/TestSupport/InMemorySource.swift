public import BSON
public import ChangeStreamCache
public import Core

/// A collection in memory, with a change stream: stands in for MongoDB where a test wants to rule time and faults.
///
/// Behaves as MongoDB does where it matters to a cache: a change has a cluster time, an update's document is looked up
/// when the change is delivered, a read visits the documents one after the other while they change. Any thread.
public final class InMemorySource: DocumentSource {
  struct State: Sendable {
    var documents: [DocumentID: BSONDocument] = [:]
    var log: [DocumentChange] = []
    /// The changes before this place in the log are gone.
    var floor = 0
    /// What an update touched.
    var updatedFields: [Revision: Set<String>] = [:]
    var time: UInt64 = 1 << 32
    var identity = "memory"
    var openErrors: [SourceError] = []
    var readErrors: [SourceError] = []
    var isConnected = true
    /// Streams of an older generation end.
    var generation = 0
    var opens = 0
    var reads = 0
    var deliveries = 0
    var isHoldingDeliveries = false
  }

  let state = Locked(State())
  private let waitSeconds: Double
  private let onRow = LateFunction<DocumentID, Void>()
  /// Says when questions are asked.
  let clock: any Clock

  /// A stream waits `waitSeconds` for a change.
  public init(waitSeconds: Double = 0.002, clock: any Clock = SystemClock()) {
    self.waitSeconds = waitSeconds
    self.clock = clock
  }

  // MARK: Changes

  /// Inserts or replaces a document given as JSON, which holds a string `_id`; gives the revision.
  @discardableResult
  public func put(_ json: String) throws -> Revision {
    let document = try BSONDocument(json: json)
    guard let id = document.id else { throw BSONError(message: "no _id") }
    return change { state in
      let isKnown = state.documents[id] != nil
      state.documents[id] = document
      return (isKnown ? .replace(document) : .insert(document), id)
    }
  }

  /// Updates a document: the stream looks it up when it delivers the change, unless the collection `keepsImage` of the
  /// document as of the update. `fields` are the top-level ones that the update is said to touch.
  @discardableResult
  public func update(_ json: String, fields: Set<String> = [], keepsImage: Bool = false) throws -> Revision {
    let document = try BSONDocument(json: json)
    guard let id = document.id else { throw BSONError(message: "no _id") }
    return change { state in
      state.documents[id] = document
      state.updatedFields[Revision(state.time)] = fields
      return (keepsImage ? .update(document) : .updateLookedUp(nil), id)
    }
  }

  @discardableResult
  public func delete(_ id: String) -> Revision { delete(DocumentID(id)) }

  @discardableResult
  public func delete(_ id: DocumentID) -> Revision {
    change { state in
      state.documents[id] = nil
      return (.delete, id)
    }
  }

  /// Drops the collection: the stream says so and ends.
  public func drop() {
    _ = change { state in
      state.documents = [:]
      return (.invalidate("drop"), nil)
    }
  }

  public func sendUnknownOperation() {
    _ = change { _ in (.unknown("frobnicate"), nil) }
  }

  /// Changes the collection behind the stream's back.
  public func putSilently(_ json: String) throws {
    let document = try BSONDocument(json: json)
    guard let id = document.id else { throw BSONError(message: "no _id") }
    state.withLock { $0.documents[id] = document }
  }

  public func deleteSilently(_ id: String) {
    state.withLock { $0.documents[DocumentID(id)] = nil }
  }

  // MARK: Faults

  /// Ends every open stream, as a lost connection does; with `forgettingHistory`, nothing can be resumed.
  public func disconnect(forgettingHistory: Bool = false) {
    state.withLock { state in
      state.generation += 1
      if forgettingHistory { state.floor = state.log.count }
    }
    state.signal()
  }

  /// While false, nothing can be opened or read.
  public func setConnected(_ isConnected: Bool) {
    state.withLock { state in
      state.isConnected = isConnected
      if !isConnected { state.generation += 1 }
    }
    state.signal()
  }

  /// Keeps changes from being delivered, as a slow network would. To be ended before the cache stops.
  public func setHoldingDeliveries(_ isHolding: Bool) {
    state.withLock { $0.isHoldingDeliveries = isHolding }
    state.signal()
  }

  public func failNextOpen(_ error: SourceError) { state.withLock { $0.openErrors.append(error) } }
  public func failNextRead(_ error: SourceError) { state.withLock { $0.readErrors.append(error) } }
  public func setIdentity(_ identity: String) { state.withLock { $0.identity = identity } }

  /// Calls `body` after each row of a read has been handed on.
  public func setOnRow(_ body: (@Sendable (DocumentID) -> Void)?) { onRow.set(body) }

  public var opens: Int { state.withLock { $0.opens } }
  public var reads: Int { state.withLock { $0.reads } }
  public var now: Revision { state.withLock { Revision($0.time) } }

  // MARK: DocumentSource

  public func identity() throws(SourceError) -> String {
    try state.withLock { state throws(SourceError) in
      guard state.isConnected else { throw SourceError(.transient, "not connected") }
      return state.identity
    }
  }

  public func openStream(
    resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
  ) throws(SourceError) -> any DocumentStream {
    try state.withLock { state throws(SourceError) in
      guard state.isConnected else { throw SourceError(.transient, "not connected") }
      if !state.openErrors.isEmpty { throw state.openErrors.removeFirst() }
      var place = state.log.count
      if let token {
        place = token.document.withObject { Int($0.value("place")?.int32 ?? -1) }
        if place < state.floor { throw SourceError(.historyLost, code: 286, "history lost", isFromServer: true) }
      }
      state.opens += 1
      return InMemoryStream(
        self, place: place, generation: state.generation, time: state.time, waitSeconds: waitSeconds)
    }
  }

  public func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision {
    let ids = try state.withLock { state throws(SourceError) in
      guard state.isConnected else { throw SourceError(.transient, "not connected") }
      if !state.readErrors.isEmpty { throw state.readErrors.removeFirst() }
      state.reads += 1
      return state.documents.keys.sorted { $0.text < $1.text }
    }
    // Every document, whatever the filter: the cache has to decide it anyway.
    for id in ids {
      guard let document = state.withLock({ $0.documents[id] }) else { continue }
      guard body(document) else { break }
      _ = onRow(id)
    }
    return state.withLock { Revision($0.time) }
  }

  public func readHistory(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) {
    let log = try state.withLock { state throws(SourceError) in
      guard state.isConnected else { throw SourceError(.transient, "not connected") }
      let oldest = state.floor < state.log.count ? state.log[state.floor].revision : Revision(state.time + 1)
      guard state.floor == 0 || revision >= oldest else { throw SourceError(.historyLost, "history lost") }
      return state.log[state.floor...].filter { $0.revision >= revision && $0.revision <= end }
    }
    for change in log {
      let operation: PastChange.Operation =
        switch change.operation {
        case .insert(let document): .insert(document)
        case .replace(let document): .replace(document)
        case .update, .updateLookedUp: .update(fields: state.withLock { $0.updatedFields[change.revision] } ?? [])
        case .delete: .delete
        case .invalidate(let name), .unknown(let name): .other(name)
        }
      guard body(PastChange(operation, id: change.id, revision: change.revision)) else { return }
    }
  }

  private func change(_ body: (inout State) -> (DocumentChange.Operation, DocumentID?)) -> Revision {
    let revision = state.withLock { state in
      state.time += 1
      let (operation, id) = body(&state)
      state.log.append(DocumentChange(operation, id: id, revision: Revision(state.time)))
      return Revision(state.time)
    }
    state.signal()
    return revision
  }
}

private final class InMemoryStream: DocumentStream {
  private let source: InMemorySource
  private var place: Int
  private let generation: Int
  private let waitSeconds: Double
  private(set) var operationTime: Revision
  private(set) var askedAt: MonotonicTime

  init(_ source: InMemorySource, place: Int, generation: Int, time: UInt64, waitSeconds: Double) {
    self.source = source
    self.place = place
    self.generation = generation
    self.waitSeconds = waitSeconds
    operationTime = Revision(time)
    askedAt = source.clock.now
  }

  var resumeToken: ResumeToken? {
    (try? BSONDocument(json: "{\"place\": \(place)}")).map { ResumeToken($0) }
  }

  func next(waitingAtMost seconds: Double) throws(SourceError) -> DocumentChange? {
    enum Outcome {
      case lost
      case change(DocumentChange, Revision)
    }
    askedAt = source.clock.now
    // Held changes are on their way: nobody may conclude that there are none.
    _ = source.state.wait(until: .now.advanced(bySeconds: 60)) { state in
      state.isHoldingDeliveries && state.generation == generation ? nil : true
    }
    let outcome = source.state.wait(until: .now.advanced(bySeconds: min(waitSeconds, seconds))) { state -> Outcome? in
      if state.generation != generation { return .lost }
      guard place < state.log.count else { return nil }
      var change = state.log[place]
      if case .updateLookedUp = change.operation, let id = change.id {
        change = DocumentChange(
          .updateLookedUp(state.documents[id]), id: id, revision: change.revision,
          touchedFields: state.updatedFields[change.revision])
      }
      state.deliveries += 1
      return .change(change, Revision(state.time))
    }
    switch outcome {
    case .lost: throw SourceError(.transient, "connection lost")
    case .change(let change, let time):
      place += 1
      operationTime = time
      return change
    case nil:
      operationTime = source.now
      return nil
    }
  }

  func close() {}
}
