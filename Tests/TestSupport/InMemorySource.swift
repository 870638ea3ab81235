// SPDX-License-Identifier: Apache-2.0
public import ChangeStreamCache
public import ConfigLookupBSON
public import ConfigLookupCore

/// An in-memory collection with a change stream. It replaces MongoDB where a test controls time and faults.
///
/// It behaves like MongoDB in the aspects that matter to a cache: each change has a cluster time, the document of an
/// update is looked up when the change is delivered, and a read visits the documents one after the other while they
/// change. Any thread may use it.
public final class InMemorySource: DocumentSource {
  struct State: Sendable {
    var documents: [DocumentID: BSONDocument] = [:]
    var log: [DocumentChange] = []
    /// The changes before this index of the log are no longer available.
    var floor = 0
    /// The fields that each update touched.
    var updatedFields: [Revision: Set<String>] = [:]
    var time: UInt64 = 1 << 32
    var identity = "memory"
    var openErrors: [SourceError] = []
    var readErrors: [SourceError] = []
    var isConnected = true
    /// The generation of connections. Streams of an older generation end.
    var generation = 0
    var opens = 0
    var reads = 0
    var deliveries = 0
    var isHoldingDeliveries = false
  }

  let state = Locked(State())
  private let maximumWait: Duration
  private let onRow = LateFunction<DocumentID, Void>()
  /// The clock that dates requests.
  let clock: any TimeSource

  /// Creates an empty collection.
  ///
  /// - Parameters:
  ///   - maximumWait: how long a stream waits for a change.
  ///   - clock: the clock that dates requests.
  public init(maximumWait: Duration = .milliseconds(2), clock: any TimeSource = SystemClock()) {
    self.maximumWait = maximumWait
    self.clock = clock
  }

  // MARK: Changes

  /// Inserts or replaces a document.
  ///
  /// - Parameter json: the document as JSON, with an `_id`.
  /// - Returns: the revision of the change.
  /// - Throws: a `BSONError` if the JSON is invalid or has no `_id`.
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

  /// Updates a document. The stream looks the document up when it delivers the change, unless there is a post-image.
  ///
  /// - Parameters:
  ///   - json: the document after the update as JSON, with an `_id`.
  ///   - fields: the top-level fields that the update reports as touched.
  ///   - keepsImage: whether the change contains the post-image.
  /// - Returns: the revision of the change.
  /// - Throws: a `BSONError` if the JSON is invalid or has no `_id`.
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

  /// Deletes a document.
  ///
  /// - Parameter id: the `_id` of the document, a string.
  /// - Returns: the revision of the change.
  @discardableResult
  public func delete(_ id: String) -> Revision { delete(DocumentID(id)) }

  /// Deletes a document.
  ///
  /// - Parameter id: the `_id` of the document.
  /// - Returns: the revision of the change.
  @discardableResult
  public func delete(_ id: DocumentID) -> Revision {
    change { state in
      state.documents[id] = nil
      return (.delete, id)
    }
  }

  /// Drops the collection. The stream delivers this and ends.
  public func drop() {
    _ = change { state in
      state.documents = [:]
      return (.invalidate("drop"), nil)
    }
  }

  /// Delivers an operation that the cache does not support.
  public func sendUnknownOperation() {
    _ = change { _ in (.unknown("frobnicate"), nil) }
  }

  /// Inserts or replaces a document without a change event.
  ///
  /// - Parameter json: the document as JSON, with an `_id`.
  /// - Throws: a `BSONError` if the JSON is invalid or has no `_id`.
  public func putSilently(_ json: String) throws {
    let document = try BSONDocument(json: json)
    guard let id = document.id else { throw BSONError(message: "no _id") }
    state.withLock { $0.documents[id] = document }
  }

  /// Deletes a document without a change event.
  ///
  /// - Parameter id: the `_id` of the document, a string.
  public func deleteSilently(_ id: String) {
    state.withLock { $0.documents[DocumentID(id)] = nil }
  }

  // MARK: Faults

  /// Ends every open stream, as a lost connection does.
  ///
  /// - Parameter forgettingHistory: whether no stream can be resumed afterwards.
  public func disconnect(forgettingHistory: Bool = false) {
    state.withLock { state in
      state.generation += 1
      if forgettingHistory { state.floor = state.log.count }
    }
    state.signal()
  }

  /// Sets whether the source can be reached. While it cannot, streams and reads fail.
  ///
  /// - Parameter isConnected: whether the source can be reached.
  public func setConnected(_ isConnected: Bool) {
    state.withLock { state in
      state.isConnected = isConnected
      if !isConnected { state.generation += 1 }
    }
    state.signal()
  }

  /// Sets whether changes are held back, as by a slow network. This must be ended before the cache stops.
  ///
  /// - Parameter isHolding: whether changes are held back.
  public func setHoldingDeliveries(_ isHolding: Bool) {
    state.withLock { $0.isHoldingDeliveries = isHolding }
    state.signal()
  }

  /// Lets the next opening of a stream fail.
  ///
  /// - Parameter error: the error.
  public func failNextOpen(_ error: SourceError) { state.withLock { $0.openErrors.append(error) } }
  /// Lets the next read of the collection fail.
  ///
  /// - Parameter error: the error.
  public func failNextRead(_ error: SourceError) { state.withLock { $0.readErrors.append(error) } }
  /// Changes the identity of the database.
  ///
  /// - Parameter identity: the new identity.
  public func setIdentity(_ identity: String) { state.withLock { $0.identity = identity } }

  /// Sets a closure that is called after each row of a read was passed on.
  ///
  /// - Parameter body: the closure; nil for none.
  public func setOnRow(_ body: (@Sendable (DocumentID) -> Void)?) { onRow.set(body) }

  /// The number of opened streams.
  public var opens: Int { state.withLock { $0.opens } }
  /// The number of started reads.
  public var reads: Int { state.withLock { $0.reads } }
  /// The current cluster time.
  public var now: Revision { state.withLock { Revision($0.time) } }

  // MARK: DocumentSource

  /// Returns the identity of the database.
  ///
  /// - Returns: the identity.
  /// - Throws: a `SourceError` if the source cannot be reached.
  public func identity() throws(SourceError) -> String {
    try state.withLock { state throws(SourceError) in
      guard state.isConnected else { throw SourceError(.transient, "not connected") }
      return state.identity
    }
  }

  /// Opens a change stream.
  ///
  /// - Parameters:
  ///   - token: the position after which the stream resumes; nil to start from now.
  ///   - fields: is ignored; updates report the fields of ``update(_:fields:keepsImage:)``.
  /// - Returns: the open stream.
  /// - Throws: the error of ``failNextOpen(_:)``, or a `SourceError` if the position is lost or the source cannot be
  ///   reached.
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
        self, place: place, generation: state.generation, time: state.time, maximumWait: maximumWait)
    }
  }

  /// Reads all documents in order of `_id`.
  ///
  /// - Parameters:
  ///   - filter: is ignored.
  ///   - revision: is ignored.
  ///   - besideLookups: is ignored.
  ///   - body: receives each document. It returns false to stop early.
  /// - Returns: the cluster time at the end of the read.
  /// - Throws: the error of ``failNextRead(_:)``, or a `SourceError` if the source cannot be reached.
  public func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision {
    let ids = try state.withLock { state throws(SourceError) in
      guard state.isConnected else { throw SourceError(.transient, "not connected") }
      if !state.readErrors.isEmpty { throw state.readErrors.removeFirst() }
      state.reads += 1
      return state.documents.keys.sorted { $0.text < $1.text }
    }
    // Every document is passed on regardless of the filter, because the cache has to evaluate it anyway.
    for id in ids {
      guard let document = state.withLock({ $0.documents[id] }) else { continue }
      guard body(document) else { break }
      _ = onRow(id)
    }
    return state.withLock { Revision($0.time) }
  }

  /// Reads past changes.
  ///
  /// - Parameters:
  ///   - revision: the first revision to read.
  ///   - end: the last revision to read.
  ///   - body: receives each change. It returns false to stop early.
  /// - Throws: a `SourceError` if the history is lost or the source cannot be reached.
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
  private let maximumWait: Duration
  private(set) var progress: StreamProgress

  init(_ source: InMemorySource, place: Int, generation: Int, time: UInt64, maximumWait: Duration) {
    self.source = source
    self.place = place
    self.generation = generation
    self.maximumWait = maximumWait
    progress = StreamProgress(reportedTime: Revision(time), askedAt: source.clock.now)
  }

  var resumeToken: ResumeToken? {
    (try? BSONDocument(json: "{\"place\": \(place)}")).map { ResumeToken($0) }
  }

  func next(waitingAtMost limit: Duration?) throws(SourceError) -> DocumentChange? {
    enum Outcome {
      case lost
      case change(DocumentChange, Revision)
    }
    let askedAt = source.clock.now
    // Changes that are held back are in transit, so an empty reply would be wrong.
    _ = source.state.wait(until: .now.advanced(by: .seconds(60))) { state in
      state.isHoldingDeliveries && state.generation == generation ? nil : true
    }
    let wait = min(maximumWait, limit ?? maximumWait)
    let outcome = source.state.wait(until: .now.advanced(by: wait)) { state -> Outcome? in
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
      progress = StreamProgress(reportedTime: time, askedAt: askedAt)
      return change
    case nil:
      progress = StreamProgress(reportedTime: source.now, askedAt: askedAt)
      return nil
    }
  }

  func close() {}
}
