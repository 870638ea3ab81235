// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A read of a collection in progress, on a connection of its own. It owns libmongoc's cursor, its session and its
/// client. Only one thread may use it.
final class MongoRead {
  private let place: String
  private let namespace: MongoNamespace
  private let timeout: ReplyTimeout
  /// The longest wait for a reply.
  private var longestWait = Duration.zero
  private let client: OpaquePointer
  private let session: OpaquePointer
  private let collection: OpaquePointer
  private let cursor: OpaquePointer
  private var isClosed = false

  /// Starts a read as of `revision` or later. The session is causally consistent and starts at `revision`, so a new
  /// primary waits until it has reached that time.
  ///
  /// The first reply contains up to `batchCount` documents. The socket timeout is that of `timeout`. `clusterTime` is
  /// the last `$clusterTime` of another session, which the server then accepts as not in its future.
  init(
    pool: MongoClientPool, namespace: MongoNamespace, filter: BSONDocument, notBefore revision: Revision,
    batchCount: Int, timeout: ReplyTimeout, clusterTime: BSONDocument?
  ) throws(SourceError) {
    place = pool.place
    self.namespace = namespace
    self.timeout = timeout
    do throws(MongoError) {
      client = try pool.dedicatedClient(replyTimeout: timeout.duration)
    } catch {
      throw SourceError(error, at: pool.place)
    }
    var error = bson_error_t()
    let sessionOptions = mongoc_session_opts_new()
    defer { mongoc_session_opts_destroy(sessionOptions) }
    mongoc_session_opts_set_causal_consistency(sessionOptions, true)
    guard let session = mongoc_client_start_session(client, sessionOptions, &error) else {
      mongoc_client_destroy(client)
      throw SourceError(MongoError(error), at: pool.place)
    }
    self.session = session
    clusterTime?.withBSONPointer { mongoc_client_session_advance_cluster_time(session, $0) }
    mongoc_client_session_advance_operation_time(session, revision.seconds, revision.increment)
    guard let collection = mongoc_client_get_collection(client, namespace.database, namespace.collection),
      let options = bson_new(), let concern = mongoc_read_concern_new()
    else {
      mongoc_client_session_destroy(session)
      mongoc_client_destroy(client)
      throw SourceError(.transient, "out of memory")
    }
    self.collection = collection
    defer {
      bson_destroy(options)
      mongoc_read_concern_destroy(concern)
    }
    mongoc_read_concern_set_level(concern, "majority")
    mongoc_read_concern_append(concern, options)
    _ = mongoc_client_session_append(session, options, &error)
    // The number must be a 64-bit integer: another type cannot be changed later.
    bson_append_int64(options, "batchSize", -1, Int64(batchCount))
    cursor = filter.withBSONPointer { mongoc_collection_find_with_opts(collection, $0, options, nil) }
  }

  deinit {
    precondition(isClosed, "a read must be closed by its thread")
  }

  /// Returns the next document; nil at the end.
  func next() throws(SourceError) -> BSONDocument? {
    var document: OpaquePointer?
    let began = MonotonicTime.now
    defer { longestWait = max(longestWait, MonotonicTime.now.duration(since: began)) }
    if mongoc_cursor_next(cursor, &document), let document {
      return BSONDocument(uncheckedBytes: BSONDocument.copyBytes(of: document))
    }
    var error = bson_error_t()
    var reply: OpaquePointer?
    if mongoc_cursor_error_document(cursor, &error, &reply) {
      let problem = MongoError(error, reply: reply)
      let waited = MonotonicTime.now.duration(since: began)
      if !problem.isFromServer { timeout.failed(after: waited) }
      throw SourceError(
        problem.afterWaiting(waited, for: "the next documents of \(namespace)"), at: place)
    }
    timeout.replied(longestWait: max(longestWait, MonotonicTime.now.duration(since: began)))
    return nil
  }

  /// Sets the maximum number of documents in each further reply. A reply never exceeds 16 MiB.
  func setBatchCount(_ count: Int) {
    mongoc_cursor_set_batch_size(cursor, UInt32(clamping: count))
  }

  /// The operation time of the server's last reply.
  var operationTime: Revision {
    var seconds: UInt32 = 0
    var increment: UInt32 = 0
    mongoc_client_session_get_operation_time(session, &seconds, &increment)
    return Revision(seconds: seconds, increment: increment)
  }

  func close() {
    isClosed = true
    mongoc_cursor_destroy(cursor)
    mongoc_collection_destroy(collection)
    mongoc_client_session_destroy(session)
    mongoc_client_destroy(client)
  }
}
