public import BSON
internal import CMongoC

/// Writes documents to a collection: for seeding and for tests. The service itself only reads. Any thread.
public final class MongoWriter: Sendable {
  private let pool: MongoClientPool
  private let namespace: MongoNamespace

  public init(pool: MongoClientPool, namespace: MongoNamespace) {
    self.pool = pool
    self.namespace = namespace
  }

  /// Puts `document` in the place of the one that `selector` finds, or adds it.
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

  /// Adds a document; fails where its `_id` is there already.
  public func insert(_ document: BSONDocument) throws(MongoError) {
    try write { collection, error in
      document.withBSONPointer { mongoc_collection_insert_one(collection, $0, nil, nil, &error) }
    }
  }

  /// Applies update operators, e.g. `{"$set": {"status": "archived"}}`, to the document that `selector` finds.
  public func update(_ selector: BSONDocument, _ update: BSONDocument) throws(MongoError) {
    try write { collection, error in
      selector.withBSONPointer { selector in
        update.withBSONPointer { mongoc_collection_update_one(collection, selector, $0, nil, nil, &error) }
      }
    }
  }

  /// Deletes one document that `selector` finds, if there is one.
  public func delete(_ selector: BSONDocument) throws(MongoError) {
    try write { collection, error in
      selector.withBSONPointer { mongoc_collection_delete_one(collection, $0, nil, nil, &error) }
    }
  }

  /// Deletes the whole collection; fails where there is none.
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
