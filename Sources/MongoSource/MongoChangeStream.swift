internal import BSON
internal import CMongoC
internal import ChangeStreamCache
internal import Core

/// An open change stream: owns libmongoc's pointer, the session it runs in and the client it holds.
///
/// libmongoc resumes by itself, for as long as the server lets it open the stream again; every other error ends the
/// stream, and the cache opens the next one. To be used and closed by one thread.
final class MongoChangeStream: DocumentStream {
  private enum State {
    /// All that the stream needs alive, in the order in which it is freed.
    case open(stream: OpaquePointer, collection: OpaquePointer, session: OpaquePointer, client: OpaquePointer)
    case closed
  }

  private let pool: MongoClientPool
  private var state = State.closed
  private(set) var operationTime = Revision.none

  init(pool: MongoClientPool, namespace: MongoNamespace, token: ResumeToken?, awaitMilliseconds: Int)
    throws(SourceError)
  {
    self.pool = pool
    let client = try pool.popForSource()
    var error = bson_error_t()
    // Not causally consistent: the session is here to read the operation time of each reply.
    let sessionOptions = mongoc_session_opts_new()
    defer { mongoc_session_opts_destroy(sessionOptions) }
    mongoc_session_opts_set_causal_consistency(sessionOptions, false)
    guard let session = mongoc_client_start_session(client, sessionOptions, &error) else {
      pool.push(client)
      throw SourceError(MongoError(error), at: pool.place)
    }
    guard let collection = mongoc_client_get_collection(client, namespace.database, namespace.collection),
      let options = bson_new()
    else {
      mongoc_client_session_destroy(session)
      pool.push(client)
      throw SourceError(.transient, "out of memory")
    }
    defer { bson_destroy(options) }
    bson_append_utf8(options, "fullDocument", -1, "updateLookup", -1)
    bson_append_int64(options, "maxAwaitTimeMS", -1, Int64(awaitMilliseconds))
    _ = mongoc_client_session_append(session, options, &error)
    if let token {
      token.document.withBSONPointer { _ = bson_append_document(options, "resumeAfter", -1, $0) }
    } else if let start = currentTime(client, session, &error) {
      // By itself the server starts at the end of its oplog, but reports the time up to which a majority has it: a
      // write between the two would be in neither stream nor snapshot. So the start is a time that was reported.
      bson_append_timestamp(options, "startAtOperationTime", -1, start.seconds, start.increment)
    } else {
      mongoc_collection_destroy(collection)
      mongoc_client_session_destroy(session)
      pool.push(client)
      throw SourceError(MongoError(error), at: pool.place)
    }

    let stream = Self.pipeline.withBSONPointer { mongoc_collection_watch(collection, $0, options) }
    guard let stream else {
      mongoc_collection_destroy(collection)
      mongoc_client_session_destroy(session)
      pool.push(client)
      throw SourceError(.transient, "libmongoc gave no change stream")
    }
    state = .open(stream: stream, collection: collection, session: session, client: client)
    if let error = failure(stream) {
      close()
      throw error
    }
    readOperationTime(session)
  }

  /// What changed in a document is of no use here, and could make an event too large.
  private static let pipeline: BSONDocument = {
    let stages = #"{"pipeline": [{"$project": {"updateDescription": 0}}]}"#
    guard let document = try? BSONDocument(json: stages) else { preconditionFailure("the pipeline is valid JSON") }
    return document
  }()

  deinit {
    guard case .closed = state else { preconditionFailure("a change stream must be closed by its thread") }
  }

  var resumeToken: ResumeToken? {
    guard case .open(let stream, _, _, _) = state, let token = mongoc_change_stream_get_resume_token(stream) else {
      return nil
    }
    return ResumeToken(BSONDocument(uncheckedBytes: BSONDocument.copyBytes(of: token)))
  }

  func next() throws(SourceError) -> DocumentChange? {
    guard case .open(let stream, _, let session, _) = state else { throw SourceError(.transient, "closed") }
    var event: OpaquePointer?
    let hasEvent = mongoc_change_stream_next(stream, &event)
    if !hasEvent, let error = failure(stream) { throw error }
    readOperationTime(session)
    guard hasEvent, let event else { return nil }
    return DocumentChange(event: BSONDocument(uncheckedBytes: BSONDocument.copyBytes(of: event)))
  }

  func close() {
    guard case .open(let stream, let collection, let session, let client) = state else { return }
    state = .closed
    mongoc_change_stream_destroy(stream)
    mongoc_collection_destroy(collection)
    mongoc_client_session_destroy(session)
    pool.push(client)
  }

  /// Once there is an error, the stream is dead.
  private func failure(_ stream: OpaquePointer) -> SourceError? {
    var error = bson_error_t()
    var reply: OpaquePointer?
    guard mongoc_change_stream_error_document(stream, &error, &reply) else { return nil }
    return SourceError(MongoError(error, reply: reply), at: pool.place)
  }

  private func readOperationTime(_ session: OpaquePointer) {
    var seconds: UInt32 = 0
    var increment: UInt32 = 0
    mongoc_client_session_get_operation_time(session, &seconds, &increment)
    operationTime = max(operationTime, Revision(seconds: seconds, increment: increment))
  }
}

/// The operation time that the server reports to a command in the session; nil with the error if it does not answer.
private func currentTime(_ client: OpaquePointer, _ session: OpaquePointer, _ error: inout bson_error_t) -> Revision? {
  guard let ping = try? BSONDocument(json: #"{"ping": 1}"#), let options = bson_new() else { return nil }
  defer { bson_destroy(options) }
  guard mongoc_client_session_append(session, options, &error) else { return nil }
  let hasAnswered = ping.withBSONPointer {
    mongoc_client_command_with_opts(client, "admin", $0, nil, options, nil, &error)
  }
  guard hasAnswered else { return nil }
  var seconds: UInt32 = 0
  var increment: UInt32 = 0
  mongoc_client_session_get_operation_time(session, &seconds, &increment)
  return Revision(seconds: seconds, increment: increment)
}

extension MongoClientPool {
  /// A client, or the error as the cache knows it.
  func popForSource() throws(SourceError) -> OpaquePointer {
    do throws(MongoError) {
      return try pop()
    } catch {
      throw SourceError(error, at: place)
    }
  }
}
