// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A server-side cursor over the events of a collection, with the commands that implement a change stream.
///
/// This is not the driver's change stream, which reopens itself after an error: endlessly where the server needs longer
/// than the socket timeout, and without reporting which connection an operation time came from. Here every error ends
/// the cursor, and the caller opens the next one. Only one thread may use and close it.
///
/// https://github.com/mongodb/specifications/blob/master/source/change-streams/change-streams.md
final class ChangeStreamCursor {
  /// The position at which the cursor starts.
  enum Start {
    case after(ResumeToken)
    /// At this revision or after it.
    case at(Revision)
    case now
  }

  struct Options {
    /// Whether update events contain the document: its post-image where the collection has
    /// `changeStreamPreAndPostImages`, otherwise the document as looked up when the event is delivered.
    var bringsDocuments: Bool
    /// The fields for which events report whether an update touched them. The rest of the update description is omitted
    /// beside the document.
    var reportedFields: Set<String>
    /// How long the server waits for an event before it sends an empty reply.
    var maximumAwaitTime: Duration
  }

  private let session: MongoSession
  private let namespace: MongoNamespace
  private let options: Options
  private let place: String
  /// The position at which the cursor started.
  private var start: Start
  /// Whether update events contain post-images (MongoDB 6.0, `changeStreamPreAndPostImages`). This is assumed until the
  /// server or an update shows otherwise, so that no user needs the permission to read the options of the collection.
  private(set) var hasImages: Bool
  /// The id of the server's cursor; 0 if the server has closed it.
  private var cursorID: Int64 = 0
  private var events: [BSONDocument] = []
  private var nextEvent = 0
  /// The resume token of the end of the batch.
  private var batchToken: BSONDocument?
  /// The resume token of the last event that was returned, or of a later position without events.
  private(set) var resumeToken: ResumeToken?

  /// When the command was sent that returned the current batch.
  private var askedAt = MonotonicTime.now
  /// What the tokens prove about the returned events.
  private var proof: TokenProof
  /// Whether no reply has been received since the opening.
  private var isFirstReply = true
  /// The bound of the lookups of the current batch.
  private var lookupBound = LookupBound(.none)

  /// What the last reply states, as of the last returned event.
  var progress: StreamProgress {
    StreamProgress(
      reportedTime: session.operationTime, askedAt: askedAt, received: proof.received, lookupBound: lookupBound,
      databaseTime: session.clusterTime, hasMore: nextEvent < events.count)
  }

  /// The last `$clusterTime` with its signature; nil if the server has not sent one.
  var signedClusterTime: BSONDocument? { session.signedClusterTime }

  init(pool: MongoClientPool, namespace: MongoNamespace, start: Start, options: Options) throws(SourceError) {
    session = try MongoSession(pool: pool)
    self.namespace = namespace
    self.options = options
    self.start = start
    hasImages = options.bringsDocuments
    place = pool.place
    proof = TokenProof(start: nil, isRouter: session.isRouter)
    do throws(SourceError) {
      try open()
    } catch {
      session.close()
      throw error
    }
  }

  /// Returns the next event; nil if none arrived within `limit`, or within the waiting time of the options.
  func next(waitingAtMost limit: Duration? = nil) throws(SourceError) -> BSONDocument? {
    if nextEvent == events.count {
      guard cursorID != 0 else { throw SourceError(.transient, "\(place): the database closed the change stream") }
      try session.checkRole()
      let command = CommandBuilder()
      command.append("getMore", cursorID)
      command.append("collection", namespace.collection)
      let wait = min(options.maximumAwaitTime, limit ?? options.maximumAwaitTime)
      command.append("maxTimeMS", max(1, wait.milliseconds))
      askedAt = .now
      do throws(SourceError) {
        try takeBatch(session.command(command.document, database: namespace.database), "nextBatch")
        if events.isEmpty, let resumeToken { proof.passed(resumeToken, isReplyEmpty: true) }
        try boundFirstLookups()
      } catch {
        // The cursor is not closed on the server: a server that does not reply to this command would not reply to that
        // one either.
        cursorID = 0
        throw error
      }
    }
    guard nextEvent < events.count else { return nil }
    let event = events[nextEvent]
    if hasImages, event.lacksImage {
      try openWithoutImages(at: event)
      return try next(waitingAtMost: limit)
    }
    nextEvent += 1
    let token = nextEvent == events.count ? batchToken : nil
    if let token = (token ?? event.object("_id")).map(ResumeToken.init) {
      resumeToken = token
      if nextEvent == events.count { proof.passed(token, isReplyEmpty: false) }
    }
    return event
  }

  /// Raises the bound of the lookups of the first reply. Where tokens cannot be read, the server is none of MongoDB:
  /// SecantusDB reports the time at which the command began, and looks up the documents of all past changes after that.
  private func boundFirstLookups() throws(SourceError) {
    guard isFirstReply else { return }
    isFirstReply = false
    guard options.bringsDocuments, !hasImages, !events.isEmpty, proof.received == nil else { return }
    try askForTime()
    lookupBound = LookupBound(session.operationTime)
  }

  /// Closes the cursor, here and on the server.
  func close() {
    kill()
    session.close()
  }

  private func kill() {
    if cursorID != 0 {
      let command = CommandBuilder()
      command.append("killCursors", namespace.collection)
      command.append("cursors", numbers: [cursorID])
      // If this fails, the server closes the cursor later by itself.
      _ = try? session.command(command.document, database: namespace.database, isMajorityRead: false)
    }
    cursorID = 0
  }

  /// Reopens the cursor at an update without a post-image: post-images are not enabled, or were disabled, or have
  /// expired. From this update on, documents are looked up.
  private func openWithoutImages(at update: BSONDocument) throws(SourceError) {
    kill()
    hasImages = false
    start = resumeToken.map { .after($0) } ?? start
    do throws(SourceError) {
      try open()
    } catch {
      // After a collMod and nothing else, SecantusDB returns a resume token that it later rejects (Unauthorized).
      guard error.isFromServer, error.code == 13, let time = update.clusterTime else { throw error }
      start = .at(time)
      try open()
    }
  }

  private func open() throws(SourceError) {
    let stage = CommandBuilder()
    if options.bringsDocuments { stage.append("fullDocument", hasImages ? "whenAvailable" : "updateLookup") }
    var startToken: ResumeToken?
    switch start {
    case .after(let token):
      (startToken, resumeToken) = (token, token)
      stage.append("resumeAfter", token.document)
    case .at(let revision):
      stage.append("startAtOperationTime", revision)
    case .now:
      // Without a position the server starts at the end of its oplog, but it reports the majority commit point. A write
      // between the two would be in neither the stream nor the snapshot. So the cursor starts at a reported time.
      try askForTime()
      let time = session.operationTime
      guard time > .none else { throw .unsupported("replies without operationTime", at: place) }
      start = .at(time)
      try open()
      // Where the time is surely a commit point, the snapshot contains everything up to it, so the cursor starts just
      // after it. The server may write nothing for a while, and would not prove the time of its last entry.
      guard resumeToken.flatMap(TokenPosition.init) != nil else { return }
      kill()
      start = .at(Revision(time.rawValue + 1))
      return try open()
    }
    let stream = CommandBuilder()
    stream.append("$changeStream", stage.document)
    var pipeline = [stream.document]
    if options.bringsDocuments {
      // The full update description is not needed beside the document, and it could make an event too large.
      let fields = CommandBuilder()
      for field in Self.eventFields + options.reportedFields.sorted().map({ "updateDescription.updatedFields.\($0)" }) {
        fields.append(field, 1)
      }
      let project = CommandBuilder()
      project.append("$project", fields.document)
      pipeline.append(project.document)
    }
    let concern = CommandBuilder()
    concern.append("level", "majority")
    let command = CommandBuilder()
    command.append("aggregate", namespace.collection)
    command.append("pipeline", pipeline)
    // The reply to the opening must not wait until the server has scanned its log from the position on.
    let cursor = CommandBuilder()
    cursor.append("batchSize", 0)
    command.append("cursor", cursor.document)
    command.append("readConcern", concern.document)
    askedAt = .now
    do throws(SourceError) {
      try takeBatch(session.command(command.document, database: namespace.database), "firstBatch")
    } catch {
      // A server without post-images rejects the option. The code differs among versions and among databases that
      // resemble MongoDB. What is no matter of the option is rejected again.
      guard hasImages, error.isFromServer, error.kind != .historyLost, !error.isTemporary,
        ![13, 18].contains(error.code)
      else { throw error }
      hasImages = false
      return try open()
    }
    proof = TokenProof(start: events.isEmpty ? resumeToken : startToken, isRouter: session.isRouter)
    isFirstReply = true
  }

  private static let eventFields = [
    "_id", "operationType", "clusterTime", "wallTime", "documentKey", "fullDocument", "txnNumber",
    "updateDescription.removedFields",
  ]

  /// Asks for the operation time.
  private func askForTime() throws(SourceError) {
    let projection = CommandBuilder()
    projection.append("_id", 1)
    let concern = CommandBuilder()
    concern.append("level", "majority")
    let find = CommandBuilder()
    find.append("find", namespace.collection)
    find.append("limit", 1)
    find.append("singleBatch", true)
    find.append("projection", projection.document)
    find.append("readConcern", concern.document)
    _ = try session.command(find.document, database: namespace.database)
  }

  private func takeBatch(_ reply: BSONDocument, _ name: String) throws(SourceError) {
    var cursorID: Int64?
    var events: [BSONDocument] = []
    var token: BSONDocument?
    reply.withObject { reply in
      guard let cursor = reply.value("cursor").flatMap({ BSONObject(elementsOf: $0) }) else { return }
      cursorID = cursor.value("id").flatMap { $0.int64 ?? $0.int32.map(Int64.init) }
      token = cursor.value("postBatchResumeToken").flatMap { BSONDocument(bytes: Array($0.bytes)) }
      cursor.value(name).flatMap { BSONObject(elementsOf: $0) }?.forEach { _, event in
        if event.type == .object, let event = BSONDocument(bytes: Array(event.bytes)) { events.append(event) }
        return true
      }
    }
    guard let cursorID else { throw SourceError(.transient, "\(place): the reply has no cursor") }
    self.cursorID = cursorID
    self.events = events
    nextEvent = 0
    batchToken = token
    // A router's operation time may be behind that of a shard which looked a document up.
    lookupBound = LookupBound(session.isRouter ? session.clusterTime : session.operationTime)
    if events.isEmpty, let token { resumeToken = ResumeToken(token) }
  }
}

extension BSONDocument {
  /// Whether the event is an update without a document.
  fileprivate var lacksImage: Bool {
    withObject { event in
      guard let name = event.value("operationType")?.stringBytes, name.elementsEqual("update".utf8) else {
        return false
      }
      return event.value("fullDocument")?.type != .object
    }
  }

  /// The cluster time of the event.
  fileprivate var clusterTime: Revision? { withObject { $0.value("clusterTime")?.timestamp.map(Revision.init) } }

  /// The object in a field; nil if there is none.
  fileprivate func object(_ name: String) -> BSONDocument? {
    withObject { object in
      object.value(name).flatMap { $0.type == .object ? BSONDocument(bytes: Array($0.bytes)) : nil }
    }
  }
}
