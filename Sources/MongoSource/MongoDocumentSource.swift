// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
public import ChangeStreamCache
public import ConfigLookupBSON
public import ConfigLookupCore

/// A MongoDB collection as the source of a cache.
///
/// It requires the actions `find` and `changeStream` on the collection. It reads from the primary with read concern
/// `majority`, so that served data is not rolled back by a failover.
public final class MongoDocumentSource: DocumentSource {
  private let pool: MongoClientPool
  private let namespace: MongoNamespace
  private let maximumAwaitTime: Duration
  private let timeout = ReplyTimeout()
  private let emptiness: EmptinessReport
  private let gossip = ClusterTimeGossip()
  /// Whether the id of the replica set has been read.
  private let hasReadID = Locked(false)

  /// Creates a source.
  ///
  /// A read of the whole collection uses a connection of its own. A pooled connection that has been idle for minutes
  /// may be dead, which only a timeout would reveal.
  ///
  /// - Parameters:
  ///   - pool: the connections to the deployment.
  ///   - namespace: the collection.
  ///   - maximumAwaitTime: how long the server waits for a change before it sends an empty reply (`maxTimeMS` of a
  ///     `getMore`), in whole milliseconds, at least 1. This does not delay changes; it determines how soon an idle
  ///     collection is verified.
  ///   - setting: the setting that names the collection, e.g. a flag's name, for messages.
  ///   - logger: receives a warning if no document is found.
  public init(
    pool: MongoClientPool, namespace: MongoNamespace, maximumAwaitTime: Duration = .milliseconds(250),
    setting: String = "the namespace", logger: Logger = .silent
  ) {
    emptiness = EmptinessReport(namespace: namespace, setting: setting, logger: logger)
    self.pool = pool
    self.namespace = namespace
    self.maximumAwaitTime = maximumAwaitTime
  }

  /// Creates a source with a connection pool of its own.
  ///
  /// - Parameters:
  ///   - uri: a MongoDB connection string. No connection is opened yet.
  ///   - collection: the collection as `DATABASE.COLLECTION`.
  /// - Throws: an error that describes what is wrong with either of them.
  public convenience init(uri: String, collection: String) throws(MongoError) {
    guard let namespace = MongoNamespace(collection) else {
      throw MongoError(message: "collection: \"\(collection)\" does not have the form DATABASE.COLLECTION")
    }
    self.init(pool: try MongoClientPool(uri: uri), namespace: namespace)
  }

  /// Returns the replica set's name and id, and the namespace. Blocks the calling thread until the server has replied.
  ///
  /// - Returns: the identity of the collection.
  /// - Throws: a `SourceError` if the server cannot be reached, or if it is a standalone server.
  public func identity() throws(SourceError) -> String {
    let hello = try command(#"{"hello": 1}"#)
    var set: String?
    var isRouter = false
    hello.withObject { reply in
      set = reply.value("setName")?.stringBytes.map { String(decoding: $0, as: UTF8.self) }
      isRouter = reply.value("msg")?.stringBytes?.elementsEqual("isdbgrid".utf8) ?? false
    }
    guard set != nil || isRouter else {
      throw SourceError(
        .misconfigured, "\(pool.place) is a standalone server", advice: SourceError.replicaSetAdvice, isFromServer: true
      )
    }
    return "\(set ?? "sharded")/\(try replicaSetID() ?? "")/\(namespace)"
  }

  /// Opens a change stream on the primary. Blocks the calling thread until the server has replied.
  ///
  /// - Parameters:
  ///   - token: the position after which the stream resumes; nil to start from now.
  ///   - fields: top-level fields for which updates report whether they touched them.
  /// - Returns: the open stream, which only one thread may use.
  /// - Throws: a `SourceError`; of kind `historyLost` if the position is lost.
  public func openStream(
    resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
  ) throws(SourceError) -> any DocumentStream {
    try MongoChangeStream(
      pool: pool, namespace: namespace, token: token, fields: fields, maximumAwaitTime: maximumAwaitTime,
      gossip: gossip)
  }

  /// Reads every document that matches a filter. A further thread fetches the documents ahead of `body`.
  ///
  /// - Parameters:
  ///   - filter: the query.
  ///   - revision: the documents are read as of this revision or later.
  ///   - besideLookups: whether lookups are answered during the read. If so, batches are smaller.
  ///   - body: receives each document. It returns false to stop early.
  /// - Returns: the revision at the end of the read; `revision` if `body` stopped it.
  /// - Throws: a `SourceError` if the read fails.
  public func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision {
    let read = MongoReadAhead(
      pool: pool, namespace: namespace, filter: filter, notBefore: revision,
      batchBytes: besideLookups ? MongoReadAhead.batchBytesBesideLookups : MongoReadAhead.batchBytes, timeout: timeout,
      clusterTime: gossip.signedTime)
    defer { read.close() }
    var isEmpty = true
    while let documents = try read.next() {
      if !documents.isEmpty { isEmpty = false }
      guard documents.allSatisfy(body) else { return revision }
    }
    emptiness.readEnded(isEmpty: isEmpty) { holdsDocuments() }
    return read.endRevision ?? revision
  }

  /// Reads past changes of the collection from the oplog.
  ///
  /// - Parameters:
  ///   - revision: the first revision to read.
  ///   - end: the last revision to read.
  ///   - body: receives each change. It returns false to stop early.
  /// - Throws: a `SourceError`; of kind `historyLost` if the oplog does not reach back to `revision`.
  public func readHistory(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) {
    try MongoHistory(pool: pool, namespace: namespace).read(from: revision, through: end, body)
  }

  /// The id that the replica set received when it was initiated; nil if the user may not read it, or if the server does
  /// not tell: then the set's name must suffice. Servers and hosted databases refuse the command with various codes, so
  /// every refusal counts but one that may end by itself, because a failover must not look like another database.
  private func replicaSetID() throws(SourceError) -> String? {
    let reply: BSONDocument
    do throws(SourceError) {
      reply = try command(#"{"replSetGetConfig": 1}"#)
    } catch {
      guard error.isFromServer, !error.isTemporary, !hasReadID.withLock({ $0 }) else { throw error }
      return nil
    }
    hasReadID.withLock { $0 = true }
    return reply.withObject { reply in
      guard let config = reply.value("config").flatMap({ BSONObject(elementsOf: $0) }),
        let settings = config.value("settings").flatMap({ BSONObject(elementsOf: $0) })
      else { return nil }
      return settings.value("replicaSetId").map { DocumentID(value: $0).text }
    }
  }

  /// Whether the collection contains any document at all; nil if it cannot be read.
  private func holdsDocuments() -> Bool? {
    let find = CommandBuilder()
    find.append("find", namespace.collection)
    find.append("limit", 1)
    find.append("singleBatch", true)
    guard let reply = try? pool.command(find.document, database: namespace.database) else { return nil }
    return reply.withObject { reply in
      guard let cursor = reply.value("cursor").flatMap({ BSONObject(elementsOf: $0) }),
        let batch = cursor.value("firstBatch").flatMap({ BSONObject(elementsOf: $0) })
      else { return nil }
      var holds = false
      batch.forEach { _, _ in
        holds = true
        return false
      }
      return holds
    }
  }

  private func command(_ json: String) throws(SourceError) -> BSONDocument {
    do {
      return try pool.command(BSONDocument(json: json), database: "admin")
    } catch let error as MongoError {
      throw SourceError(error, at: pool.place)
    } catch {
      throw SourceError(.transient, "\(error)")
    }
  }
}
