// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
public import ConfigLookupBSON

/// Writes documents to a collection, for seeding and for tests. The service itself only reads. Any thread may use it;
/// each call blocks until the server has replied.
public final class MongoWriter: Sendable {
  private let pool: MongoClientPool
  private let namespace: MongoNamespace

  /// Creates a writer.
  ///
  /// - Parameters:
  ///   - pool: the connections to the deployment.
  ///   - namespace: the collection.
  public init(pool: MongoClientPool, namespace: MongoNamespace) {
    self.pool = pool
    self.namespace = namespace
  }

  /// Replaces the document that a selector finds, or inserts the new document if it finds none.
  ///
  /// - Parameters:
  ///   - selector: the query.
  ///   - document: the new document.
  /// - Throws: the error of the server or of the connection.
  public func replace(_ selector: BSONDocument, with document: BSONDocument) throws(MongoError) {
    let upsertOptions = BSONDocument(uncheckedBytes: [14, 0, 0, 0, 8] + Array("upsert".utf8) + [0, 1, 0])
    try write { collection, error in
      selector.withBSONPointer { selector in
        document.withBSONPointer { document in
          upsertOptions.withBSONPointer { options in
            mongoc_collection_replace_one(collection, selector, document, options, nil, &error)
          }
        }
      }
    }
  }

  /// Inserts a document.
  ///
  /// - Parameter document: the document.
  /// - Throws: the error of the server or of the connection, e.g. if the `_id` exists already.
  public func insert(_ document: BSONDocument) throws(MongoError) {
    try write { collection, error in
      document.withBSONPointer { mongoc_collection_insert_one(collection, $0, nil, nil, &error) }
    }
  }

  /// Applies update operators, e.g. `{"$set": {"status": "archived"}}`, to the first document that a selector finds.
  ///
  /// - Parameters:
  ///   - selector: the query.
  ///   - update: the update operators.
  /// - Throws: the error of the server or of the connection.
  public func update(_ selector: BSONDocument, _ update: BSONDocument) throws(MongoError) {
    try write { collection, error in
      selector.withBSONPointer { selector in
        update.withBSONPointer { mongoc_collection_update_one(collection, selector, $0, nil, nil, &error) }
      }
    }
  }

  /// Deletes the first document that a selector finds, if there is one.
  ///
  /// - Parameter selector: the query.
  /// - Throws: the error of the server or of the connection.
  public func delete(_ selector: BSONDocument) throws(MongoError) {
    try write { collection, error in
      selector.withBSONPointer { mongoc_collection_delete_one(collection, $0, nil, nil, &error) }
    }
  }

  /// Drops the collection.
  ///
  /// - Throws: the error of the server or of the connection, e.g. if the collection does not exist.
  public func drop() throws(MongoError) {
    try write { collection, error in mongoc_collection_drop(collection, &error) }
  }

  private func write(_ body: (OpaquePointer, inout bson_error_t) -> Bool) throws(MongoError) {
    let client = try pool.pop()
    defer { pool.push(client) }
    guard let collection = mongoc_client_get_collection(client, namespace.database, namespace.collection) else {
      throw MongoError(message: "out of memory")
    }
    defer { mongoc_collection_destroy(collection) }
    var error = bson_error_t()
    guard body(collection, &error) else { throw MongoError(error) }
  }
}
