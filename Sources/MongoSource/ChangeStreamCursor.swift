internal import BSON
internal import ChangeStreamCache
internal import Core

/// A server's cursor over the events of a collection: the commands that a change stream is made of.
///
/// Not the driver's change stream, which opens itself again after an error: without end where the server needs longer
/// than a socket's timeout, and without a word of which connection an operation time came from. Here every error ends
/// the cursor, and whoever follows opens the next one. To be used and closed by one thread.
///
/// https://github.com/mongodb/specifications/blob/master/source/change-streams/change-streams.md
final class ChangeStreamCursor {
  /// Where to begin.
  enum Start {
    case after(ResumeToken)
    /// At this revision or after it.
    case at(Revision)
    case now
  }

  struct Options {
    /// Updates bring the document: as of themselves where the collection keeps images for that, else as it is when they
    /// are delivered.
    var bringsDocuments: Bool
    /// Beside the document an event says only of these whether an update touched them.
    var reportedFields: Set<String>
    /// How long the server waits for an event before it answers that there is none.
    var awaitMilliseconds: Int
  }

  private let session: MongoSession
  private let namespace: MongoNamespace
  private let options: Options
  private let place: String
  /// Where the cursor began.
  private var start: Start
  /// Whether updates bring the document as of themselves (MongoDB 6.0, `changeStreamPreAndPostImages`). Believed until
  /// the server or an update shows otherwise: so nobody needs the right to ask what options the collection has.
  private(set) var hasImages: Bool
  /// 0: the server has closed it.
  private var cursorID: Int64 = 0
  private var events: [BSONDocument] = []
  private var nextEvent = 0
  /// Of the end of the batch.
  private var batchToken: BSONDocument?
  /// Of where the reader is.
  private(set) var resumeToken: ResumeToken?

  /// When the command was sent that brought the present batch.
  private(set) var askedAt = MonotonicTime.now

  /// The moment of the server's last reply, or before it.
  var operationTime: Revision { session.operationTime }

  init(pool: MongoClientPool, namespace: MongoNamespace, start: Start, options: Options) throws(SourceError) {
    session = try MongoSession(pool: pool)
    self.namespace = namespace
    self.options = options
    self.start = start
    hasImages = options.bringsDocuments
    place = pool.place
    do throws(SourceError) {
      try open()
    } catch {
      session.close()
      throw error
    }
  }

  /// The next event; nil when none came within `seconds`, or within the waiting time of the options.
  func next(waitingAtMost seconds: Double = .infinity) throws(SourceError) -> BSONDocument? {
    if nextEvent == events.count {
      guard cursorID != 0 else { throw SourceError(.transient, "\(place): the database closed the change stream") }
      let command = CommandBuilder()
      command.append("getMore", cursorID)
      command.append("collection", namespace.collection)
      command.append("maxTimeMS", Int64(max(1, min(Double(options.awaitMilliseconds), seconds * 1000))))
      askedAt = .now
      do throws(SourceError) {
        try takeBatch(session.command(command.document, database: namespace.database), "nextBatch")
      } catch {
        // Nobody is to be asked to close it: who does not answer would not answer that either.
        cursorID = 0
        throw error
      }
    }
    guard nextEvent < events.count else { return nil }
    let event = events[nextEvent]
    if hasImages, event.lacksImage {
      try openWithoutImages(at: event)
      return try next(waitingAtMost: seconds)
    }
    nextEvent += 1
    let token = nextEvent == events.count ? batchToken : nil
    resumeToken = (token ?? event.object("_id")).map(ResumeToken.init) ?? resumeToken
    return event
  }

  /// Lets go of the cursor, here and on the server.
  func close() {
    kill()
    session.close()
  }

  private func kill() {
    if cursorID != 0 {
      let command = CommandBuilder()
      command.append("killCursors", namespace.collection)
      command.append("cursors", numbers: [cursorID])
      // One that is left is closed by the server itself, later.
      _ = try? session.command(command.document, database: namespace.database)
    }
    cursorID = 0
  }

  /// Images are not kept, or not any more, or not for so long: from the update that lacks one, documents are looked up.
  private func openWithoutImages(at update: BSONDocument) throws(SourceError) {
    kill()
    hasImages = false
    start = resumeToken.map { .after($0) } ?? start
    do throws(SourceError) {
      try open()
    } catch {
      // After a collMod and nothing else SecantusDB gives a token that it refuses itself (Unauthorized).
      guard error.isFromServer, error.code == 13, let time = update.clusterTime else { throw error }
      start = .at(time)
      try open()
    }
  }

  private func open() throws(SourceError) {
    let stage = CommandBuilder()
    if options.bringsDocuments { stage.append("fullDocument", hasImages ? "whenAvailable" : "updateLookup") }
    switch start {
    case .after(let token):
      resumeToken = token
      stage.append("resumeAfter", token.document)
    case .at(let revision):
      stage.append("startAtOperationTime", revision)
    case .now:
      // By itself the server starts at the end of its oplog, but reports the time up to which a majority has it: a
      // write between the two would be in neither stream nor snapshot. So the start is a time that was reported.
      try askForTime()
      if operationTime > .none {
        start = .at(operationTime)
        stage.append("startAtOperationTime", operationTime)
      }
    }
    let stream = CommandBuilder()
    stream.append("$changeStream", stage.document)
    var pipeline = [stream.document]
    if options.bringsDocuments {
      // All of what changed is of no use beside the document, and could make an event too large.
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
    command.append("cursor", BSONDocument.empty)
    command.append("readConcern", concern.document)
    askedAt = .now
    do throws(SourceError) {
      try takeBatch(session.command(command.document, database: namespace.database), "firstBatch")
    } catch {
      guard hasImages, error.isFromServer, Self.unknownOptionCodes.contains(error.code) else { throw error }
      hasImages = false
      return try open()
    }
    // SecantusDB gives the time at which the command began; documents were looked up after that.
    if options.bringsDocuments, !hasImages, !events.isEmpty { try askForTime() }
  }

  /// What a server says that knows no images: BadValue from 5.0 on, a number of its own before.
  private static let unknownOptionCodes: Set<Int> = [2, 40575]

  private static let eventFields = [
    "_id", "operationType", "clusterTime", "wallTime", "documentKey", "fullDocument", "txnNumber",
    "updateDescription.removedFields",
  ]

  /// Brings ``operationTime`` up to now.
  private func askForTime() throws(SourceError) {
    let ping = CommandBuilder()
    ping.append("ping", 1)
    _ = try session.command(ping.document, database: "admin")
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
    if events.isEmpty, let token { resumeToken = ResumeToken(token) }
  }
}

extension BSONDocument {
  /// Whether it is an update without its document.
  fileprivate var lacksImage: Bool {
    withObject { event in
      guard let name = event.value("operationType")?.stringBytes, name.elementsEqual("update".utf8) else {
        return false
      }
      return event.value("fullDocument")?.type != .object
    }
  }

  /// When it was committed.
  fileprivate var clusterTime: Revision? { withObject { $0.value("clusterTime")?.timestamp.map(Revision.init) } }

  /// The object in a field.
  fileprivate func object(_ name: String) -> BSONDocument? {
    withObject { object in
      object.value(name).flatMap { $0.type == .object ? BSONDocument(bytes: Array($0.bytes)) : nil }
    }
  }
}
