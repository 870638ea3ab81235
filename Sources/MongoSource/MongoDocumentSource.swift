public import BSON
internal import CMongoC
public import ChangeStreamCache
public import Core

/// A MongoDB collection as the source of a cache.
///
/// Needs the actions `find` and `changeStream` on the collection. Reads the primary, with read concern `majority`: what
/// is served is not rolled back by a failover.
public final class MongoDocumentSource: DocumentSource {
  private let pool: MongoClientPool
  private let namespace: MongoNamespace
  private let awaitMilliseconds: Int
  private let timeout = ReplyTimeout()
  private let emptiness: EmptinessReport

  /// `pool` is of the deployment. A read of the whole collection has a connection of its own: one that has been idle
  /// for minutes may be dead, and only a time limit would show it.
  ///
  /// `awaitMilliseconds` is how long the server waits for a change before it answers that there is none: not how late a
  /// change comes, but how soon a quiet collection is confirmed.
  ///
  /// - Parameters:
  ///   - setting: What says which collection it is, for messages: a flag's name.
  ///   - logger: Is told of a collection in which nothing is found.
  public init(
    pool: MongoClientPool, namespace: MongoNamespace, awaitMilliseconds: Int = 250,
    setting: String = "the namespace", logger: Logger = .silent
  ) {
    emptiness = EmptinessReport(namespace: namespace, setting: setting, logger: logger)
    self.pool = pool
    self.namespace = namespace
    self.awaitMilliseconds = awaitMilliseconds
  }

  /// A source with connections of its own.
  ///
  /// - Parameters:
  ///   - uri: a MongoDB connection string. Nothing is connected yet.
  ///   - collection: `DATABASE.COLLECTION`.
  /// - Throws: what is wrong with either.
  public convenience init(uri: String, collection: String) throws(MongoError) {
    guard let namespace = MongoNamespace(collection) else {
      throw MongoError(message: "collection: \"\(collection)\" does not have the form DATABASE.COLLECTION")
    }
    self.init(pool: try MongoClientPool(uri: uri), namespace: namespace)
  }

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

  public func openStream(
    resumingAfter token: ResumeToken?, reportingFields fields: Set<String>
  ) throws(SourceError) -> any DocumentStream {
    try MongoChangeStream(
      pool: pool, namespace: namespace, token: token, fields: fields, awaitMilliseconds: awaitMilliseconds)
  }

  public func readAll(
    matching filter: BSONDocument, notBefore revision: Revision, besideLookups: Bool, _ body: (BSONDocument) -> Bool
  ) throws(SourceError) -> Revision {
    let read = MongoReadAhead(
      pool: pool, namespace: namespace, filter: filter, notBefore: revision,
      batchBytes: besideLookups ? MongoReadAhead.batchBytesBesideLookups : MongoReadAhead.batchBytes, timeout: timeout)
    defer { read.close() }
    var isEmpty = true
    while let documents = try read.next() {
      if !documents.isEmpty { isEmpty = false }
      guard documents.allSatisfy(body) else { return revision }
    }
    emptiness.readEnded(isEmpty: isEmpty) { holdsDocuments() }
    return read.endRevision ?? revision
  }

  public func readHistory(
    from revision: Revision, through end: Revision, _ body: (PastChange) -> Bool
  ) throws(SourceError) {
    try MongoHistory(pool: pool, namespace: namespace).read(from: revision, through: end, body)
  }

  /// The number that a replica set got when it was made. Asking for it may not be allowed: then its name has to do.
  /// Any other refusal is passed on: a failover must not look like another database.
  private func replicaSetID() throws(SourceError) -> String? {
    let reply: BSONDocument
    do throws(SourceError) {
      reply = try command(#"{"replSetGetConfig": 1}"#)
    } catch {
      // Unauthorized, CommandNotFound.
      guard error.isFromServer, error.code == 13 || error.code == 59 else { throw error }
      return nil
    }
    return reply.withObject { reply in
      guard let config = reply.value("config").flatMap({ BSONObject(elementsOf: $0) }),
        let settings = config.value("settings").flatMap({ BSONObject(elementsOf: $0) })
      else { return nil }
      return settings.value("replicaSetId").map { DocumentID(value: $0).text }
    }
  }

  /// Whether the collection holds any document at all; nil where that cannot be read.
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
