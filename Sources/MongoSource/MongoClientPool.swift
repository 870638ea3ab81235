public import BSON
internal import CMongoC
internal import Core

/// A pool of connections to one MongoDB deployment. Any thread.
///
/// https://mongoc.org/libmongoc/current/connection-pooling.html
public final class MongoClientPool: Sendable {
  private let uri: MongoURI
  /// Nil until the first client is wanted, and while the name of a `mongodb+srv` URI cannot be looked up.
  private let handle = Locked<Handle?>(nil)
  /// The hosts, for messages: without user and password.
  public var place: String { uri.place }

  /// libmongoc's pool.
  private struct Handle: @unchecked Sendable {
    // Safe to share: a pool may be used by every thread, and a client by one at a time.
    let pointer: OpaquePointer
  }

  /// Reads a MongoDB connection string. Does not connect yet.
  ///
  /// Time limits that the URI sets are kept. Where it says nothing, a reply is waited for for 10 s, a server is looked
  /// for for 5 s, and looked at every 2 s. Reads of whole collections wait longer for a reply where the server is slow.
  ///
  /// - Throws: What is wrong with the connection string, or with a file that it names.
  public convenience init(uri text: String) throws(MongoError) {
    let uri = try MongoURI(text)
    try uri.checkFiles()
    self.init(uri)
  }

  /// A pool for a connection string that has been checked. Does not connect yet.
  public init(_ uri: MongoURI) {
    self.uri = uri
  }

  deinit {
    if let handle = handle.withLock({ $0 }) { mongoc_client_pool_destroy(handle.pointer) }
  }

  /// Makes libmongoc's pool when it is first wanted: for a `mongodb+srv` URI it asks the name server at once, which may
  /// be away as the database may.
  private func pool() throws(MongoError) -> OpaquePointer {
    try handle.withLock { handle throws(MongoError) in
      if let handle { return handle.pointer }
      var error = bson_error_t()
      guard let pointer = mongoc_client_pool_new_with_error(uri.pointer, &error) else { throw MongoError(error) }
      mongoc_client_pool_set_error_api(pointer, MONGOC_ERROR_API_VERSION_2)
      handle = Handle(pointer: pointer)
      return pointer
    }
  }

  /// Makes a client with a connection of its own, for one thread, to be destroyed by the caller. It does not connect
  /// yet.
  ///
  /// - Parameter seconds: How long one reply is waited for, where the URI does not say.
  func dedicatedClient(replyTimeoutSeconds seconds: Double) throws(MongoError) -> OpaquePointer {
    guard let copy = mongoc_uri_copy(uri.pointer) else { throw MongoError(message: "out of memory") }
    defer { mongoc_uri_destroy(copy) }
    if !uri.hasSocketTimeout { mongoc_uri_set_option_as_int32(copy, "sockettimeoutms", Int32(seconds * 1000)) }
    var error = bson_error_t()
    guard let client = mongoc_client_new_from_uri_with_error(copy, &error) else { throw MongoError(error) }
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2)
    return client
  }

  /// Takes a client out of the pool: for one thread, to be given back by ``push(_:)``.
  ///
  /// Throws where the URI's `waitQueueTimeoutMS` passes first.
  func pop() throws(MongoError) -> OpaquePointer {
    guard let client = mongoc_client_pool_pop(try pool()) else {
      throw MongoError(message: "\(place): no connection became free in time; raise maxPoolSize or waitQueueTimeoutMS")
    }
    return client
  }

  /// Gives a client back.
  func push(_ client: OpaquePointer) {
    guard let handle = handle.withLock({ $0 }) else { return }
    mongoc_client_pool_push(handle.pointer, client)
  }

  /// Runs a command and gives its reply.
  public func command(_ command: BSONDocument, database: String) throws(MongoError) -> BSONDocument {
    let client = try pop()
    defer { push(client) }
    return try mongoReply { reply, error in
      command.withBSONPointer { mongoc_client_command_simple(client, database, $0, nil, reply, &error) }
    }
  }
}
