// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

extension MongodModel {
  /// The greatest size of an event: 16 MiB and 16 KiB.
  static let maximumEventBytes = 16_793_600

  mutating func aggregate(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    guard let options = request.documents("pipeline").first?.field("$changeStream")?.document else {
      return try aggregateDocuments(request, at: member, &attempt)
    }
    attempt.isChangeStream = true
    guard personality.isReplicaSet else {
      throw .failed(
        CommandError(40573, "Location40573", "The $changeStream stage is only supported on replica sets"))
    }
    guard request.body.field("readConcern")?.document?.field("level") == nil || request.readConcern.level == "majority"
    else {
      throw .failed(
        CommandError(72, "InvalidOptions", "$changeStream cannot run with a readConcern other than 'majority'"))
    }
    _ = try readTime(request, at: member, &attempt)
    attempt.isMajority = true
    let size = request.body.field("cursor")?.document?.field("batchSize")?.integer.map { Int($0) } ?? 101
    var stream: ChangeStreamState
    if let opening = attempt.opening { stream = opening } else { stream = try open(options, request, at: member) }
    var events: [BSONDocument] = []
    if size > 0 {
      do throws(Interruption) {
        events = try nextEvents(&stream, at: member, &attempt, size: size, awaitingUntil: nil)
      } catch {
        attempt.opening = stream
        throw error
      }
    }
    var id: Int64 = 0
    var namespace = request.namespace
    if namespace.collection.isEmpty { namespace.collection = "$cmd.aggregate" }
    if !stream.isInvalidated {
      id = nextCursorID()
      set.members[member].cursors[id] = ServerCursor(namespace: namespace, kind: .changeStream(stream))
    }
    return Self.cursorReply(id: id, namespace, "firstBatch", events, token: stream.token)
  }

  func open(
    _ options: BSONDocument, _ request: Request, at member: Int
  ) throws(Interruption) -> ChangeStreamState {
    let node = set.members[member]
    var start = ResumeTokenData(
      highWaterMark: Revision(node.lastApplied.rawValue + 1), version: personality.tokenVersion)
    if let time = options.field("startAtOperationTime")?.withValue(\.timestamp) {
      start = ResumeTokenData(
        highWaterMark: Revision(seconds: time.seconds, increment: time.increment), version: personality.tokenVersion)
    }
    for name in ["resumeAfter", "startAfter"] {
      guard let given = options.field(name) else { continue }
      start = try decode(given.document ?? .empty)
      if start.isInvalidate, name == "resumeAfter" {
        throw .failed(
          CommandError(
            260, "InvalidResumeToken",
            "Attempting to resume a change stream using 'resumeAfter' is not allowed from an invalidate notification."))
      }
    }
    let oldest = node.oplog.entries.first?.time ?? .none
    if node.oplog.truncatedThrough > .none, oldest > start.time {
      throw .failed(
        CommandError(
          286, "ChangeStreamHistoryLost",
          "Resume of change stream was not possible, as the resume point may no longer be in the oplog."))
    }
    var scope = ChangeStreamState.Scope.collection(request.namespace)
    if request.body.field("aggregate")?.text == nil {
      scope = options.field("allChangesForCluster")?.isTrue == true ? .cluster : .database(request.database)
    }
    var stream = ChangeStreamState(
      scope: scope, tokenVersion: start.version, scanned: Revision(start.time.rawValue - 1),
      token: document(of: start), tokenTime: start.time)
    if start.kind == .event { stream.sought = start }
    stream.fullDocument = options.field("fullDocument")?.text ?? "default"
    stream.beforeChange = options.field("fullDocumentBeforeChange")?.text ?? "off"
    stream.showsExpandedEvents = options.field("showExpandedEvents")?.isTrue ?? false
    if stream.fullDocument == "whenAvailable", let error = personality.whenAvailableError { throw .failed(error) }
    stream.stages = try stages(request.documents("pipeline").dropFirst())
    return stream
  }

  func stages(_ pipeline: ArraySlice<BSONDocument>) throws(Interruption) -> [ChangeStreamState.Stage] {
    var stages: [ChangeStreamState.Stage] = []
    for stage in pipeline {
      if let filter = stage.field("$match")?.document {
        stages.append(.match(try compile(filter)))
      } else if let fields = (stage.field("$addFields") ?? stage.field("$set"))?.document {
        stages.append(.project(Projection(adding: fields)))
      } else if let fields = stage.field("$project")?.document, let projection = Projection(fields) {
        stages.append(.project(projection))
      } else {
        throw .failed(CommandError(40324, "Location40324", "Unrecognized or unsupported pipeline stage"))
      }
    }
    return stages
  }

  private func decode(_ token: BSONDocument) throws(Interruption) -> ResumeTokenData {
    let text = token.field("_data")?.text ?? ""
    let data = personality.hasForeignTokens ? ResumeTokenData(foreignData: text) : ResumeTokenData(data: text)
    guard let data else {
      throw .failed(
        CommandError(40647, "Location40647", "Bad resume token: _data of missing or of wrong type"))
    }
    return data
  }

  private func document(of token: ResumeTokenData) -> BSONDocument {
    personality.hasForeignTokens ? token.foreignDocument : token.document
  }

  // MARK: Scanning

  /// Returns the next events of a stream (`PlanExecutorPipeline`), and sets its token.
  ///
  /// The scan ends at the commit point. If there are no events, it waits until `limit`, or not at all if that is nil.
  func nextEvents(
    _ stream: inout ChangeStreamState, at member: Int, _ attempt: inout Attempt, size: Int, awaitingUntil limit: Double?
  ) throws(Interruption) -> [BSONDocument] {
    let size = min(size, eventsPerBatch ?? .max)
    let hasReachedEnd = try scan(&stream, at: member, &attempt, size: size)
    let isFull = stream.ready.count >= size || stream.readyBytes >= 16_000_000 || stream.isInvalidated
    if !isFull, !hasReachedEnd {
      // The scan goes on; before 9.0 nothing ends it.
      let deadline = personality.responseDeadline.map { attempt.begunAt + $0 } ?? .infinity
      if set.now < deadline { throw .wait(until: min(deadline, set.now + 0.02)) }
    }
    if stream.ready.isEmpty, hasReachedEnd, let limit, set.now < limit { throw .wait(until: limit) }
    if stream.queue.isEmpty, stream.scanned > stream.tokenTime {
      let mark = ResumeTokenData(highWaterMark: stream.scanned, version: stream.tokenVersion)
      stream.token = document(of: mark)
      stream.tokenTime = stream.scanned
    }
    defer {
      stream.ready = []
      stream.readyBytes = 0
    }
    return stream.ready
  }

  /// Scans the oplog. Returns whether it has reached the commit point.
  private func scan(
    _ stream: inout ChangeStreamState, at member: Int, _ attempt: inout Attempt, size: Int
  ) throws(Interruption) -> Bool {
    let oplog = set.members[member].oplog
    let end = set.members[member].commitPoint
    guard oplog.truncatedThrough <= stream.scanned else {
      throw .failed(
        CommandError(
          136, "CappedPositionLost", "CollectionScan died due to position in capped collection being deleted"))
    }
    // The number of entries that the operation may still examine by now.
    var budget = Int.max
    if let scannedPerSecond {
      let begin = attempt.scannedAtBegin ?? stream.scanned
      attempt.scannedAtBegin = begin
      let examined = oplog.firstIndex(after: stream.scanned) - oplog.firstIndex(after: begin)
      budget = Int(scannedPerSecond * (set.now - attempt.begunAt)) - examined
    }
    var index = oplog.firstIndex(after: stream.scanned)
    while true {
      try drain(&stream, at: member, size: size)
      if stream.isInvalidated { return true }
      guard stream.queue.isEmpty else { return false }
      guard index < oplog.entries.count, oplog.entries[index].time <= end else { return true }
      guard budget > 0 else { return false }
      budget -= 1
      stream.scanned = oplog.entries[index].time
      stream.queue = EventStub.unwind(oplog.entries[index], stream)
      index += 1
    }
  }

  /// Makes the queued events, up to a full batch.
  private func drain(
    _ stream: inout ChangeStreamState, at member: Int, size: Int
  ) throws(Interruption) {
    while let stub = stream.queue.first, stream.ready.count < size, stream.readyBytes < 16_000_000 {
      let token = stub.token(version: stream.tokenVersion)
      if let sought = stream.sought {
        try check(sought, against: token)
        stream.queue.removeFirst()
        if matches(sought, token) { stream.sought = nil }
        continue
      }
      let whole = try event(stub, document(of: token), stream, at: member)
      if let event = Self.apply(stream.stages, to: whole) {
        guard event.field("_id") == whole.field("_id") else {
          throw .failed(
            CommandError(
              280, "ChangeStreamFatalError",
              "Encountered an event whose _id field, which contains the resume token, was modified by the pipeline."))
        }
        guard event.bytes.count <= Self.maximumEventBytes else {
          throw .failed(
            CommandError(
              10334, "BSONObjectTooLarge",
              "BSONObj size: \(event.bytes.count) is invalid. Size must be between 0 and 16793600(16MB)"))
        }
        if !stream.ready.isEmpty, stream.readyBytes + event.bytes.count > 16_000_000 {
          stream.readyBytes = 16_000_000
          return
        }
        stream.ready.append(event)
        stream.readyBytes += event.bytes.count
        stream.token = document(of: token)
        stream.tokenTime = stub.time
      }
      stream.queue.removeFirst()
      if stub.isInvalidate {
        stream.isInvalidated = true
        return
      }
    }
  }

  private func matches(_ sought: ResumeTokenData, _ token: ResumeTokenData) -> Bool {
    guard personality.hasForeignTokens else { return sought == token }
    return sought.time == token.time && sought.operationIndex == token.operationIndex
  }

  /// Fails if the event has certainly not been found (`EnsureResumeTokenPresent`).
  private func check(_ sought: ResumeTokenData, against token: ResumeTokenData) throws(Interruption) {
    guard !matches(sought, token), token.time > sought.time || token.data > sought.data else { return }
    if personality.hasForeignTokens, token.time <= sought.time { return }
    throw .failed(
      CommandError(
        280, "ChangeStreamFatalError",
        "cannot resume stream; the resume token was not found. {_data: \"\(token.data)\"}"))
  }

  static func apply(_ stages: [ChangeStreamState.Stage], to event: BSONDocument) -> BSONDocument? {
    var event = event
    for stage in stages {
      switch stage {
      case .match(let filter): if !filter.matches(event) { return nil }
      case .project(let projection): event = projection.project(event)
      }
    }
    return event
  }

  private static let noImage = CommandError(
    47, "NoMatchingDocument", "Change stream was configured to require an image, but it was not found")

  // MARK: Events

  private func event(
    _ stub: EventStub, _ token: BSONDocument, _ stream: ChangeStreamState, at member: Int
  ) throws(Interruption) -> BSONDocument {
    let operation = stub.operation
    var event = BSONBuilder()
    event.append("_id", token)
    event.append("operationType", stub.type)
    event.append("clusterTime", stub.time)
    if personality.tokenVersion >= 2 { event.append("wallTime", dateMilliseconds: stub.wallTime) }
    if stub.isInvalidate { return event.document }
    if stream.showsExpandedEvents { event.append("collectionUUID", uuid: operation.uuid) }
    switch operation.kind {
    case .insert, .replace: event.append("fullDocument", operation.document ?? .empty)
    case .update where stream.fullDocument != "default":
      if let document = fullDocument(stub, stream, at: member) {
        event.append("fullDocument", document)
      } else if stream.fullDocument == "required" {
        throw .failed(Self.noImage)
      } else {
        event.appendNull("fullDocument")
      }
    default: break
    }
    event.append("ns") {
      $0.append("db", operation.namespace.database)
      if operation.kind != .dropDatabase { $0.append("coll", operation.namespace.collection) }
    }
    switch operation.kind {
    case .insert, .update, .replace, .delete: event.append("documentKey", operation.key)
    case .rename(let target, _):
      event.append("to") {
        $0.append("db", target.database)
        $0.append("coll", target.collection)
      }
    default: break
    }
    if operation.kind == .update { event.append("updateDescription", operation.delta ?? .empty) }
    if stream.beforeChange != "off", operation.kind != .insert, operation.hasImage || operation.before != nil {
      if operation.hasImage, stub.time > set.imagesExpiredThrough, let before = operation.before {
        event.append("fullDocumentBeforeChange", before)
      } else if stream.beforeChange == "required" {
        throw .failed(Self.noImage)
      } else {
        event.appendNull("fullDocumentBeforeChange")
      }
    }
    if let transaction = stub.transaction {
      event.append("txnNumber", transaction.number)
      event.append("lsid", transaction.session)
    }
    return event.document
  }

  /// The document of an update: as of the update, or as looked up between the scan and the reply.
  private func fullDocument(_ stub: EventStub, _ stream: ChangeStreamState, at member: Int) -> BSONDocument? {
    if stream.fullDocument == "updateLookup" {
      let node = set.members[member]
      let visible = stub.commitTimestamp ?? stub.time
      let time = max(visible, min(lookupTime ?? node.commitPoint, node.commitPoint))
      return stub.operation.key.id.flatMap { id in
        node.store.collection(stub.operation.namespace, asOf: time)?.rows.document(id, asOf: time)
      }
    }
    return stub.operation.hasImage && stub.time > set.imagesExpiredThrough ? stub.operation.document : nil
  }

  // MARK: Other aggregations

  /// `$match`, `$project`, and the `$group` by which drivers count.
  private mutating func aggregateDocuments(
    _ request: Request, at member: Int, _ attempt: inout Attempt
  ) throws(Interruption) -> BSONBuilder {
    let time = try readTime(request, at: member, &attempt)
    var pipeline = request.documents("pipeline")[...]
    let counts = pipeline.last?.field("$group") != nil
    if counts { pipeline.removeLast() }
    let stages = try stages(pipeline)
    let rows = set.members[member].store.collection(request.namespace, asOf: time)?.rows
    var documents = (0..<(rows?.count ?? 0)).compactMap { place in
      rows?.document(at: place, asOf: time).flatMap { Self.apply(stages, to: $0) }
    }
    if counts {
      let count = Int32(documents.count)
      documents =
        count == 0
        ? []
        : [
          BSONDocument {
            $0.append("_id", Int32(1))
            $0.append("n", count)
          }
        ]
    }
    return Self.cursorReply(id: 0, request.namespace, "firstBatch", documents)
  }
}
