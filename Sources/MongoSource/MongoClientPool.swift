// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
public import ConfigLookupBSON
internal import ConfigLookupCore

/// A pool of connections to one MongoDB deployment. Any thread may use it.
///
/// https://mongoc.org/libmongoc/current/connection-pooling.html
public final class MongoClientPool: Sendable {
  private let uri: MongoURI
  /// The libmongoc pool. Nil until the first client is needed, and while the DNS lookup of a `mongodb+srv` URI fails.
  private let handle = Locked<Handle?>(nil)
  /// The pool for streams that have to catch up, once it was needed.
  private let catchUp = Locked<MongoClientPool?>(nil)
  /// The hosts of the deployment for messages, without user and password.
  public var place: String { uri.place }
  /// The socket timeout.
  let replyTimeout: Duration
  /// The socket timeout of a stream that has to catch up: the server scans its log from the resume position to the end
  /// before it replies, and for a long outage beside a busy database that takes longer than a dead connection may.
  static let catchUpTimeout = Duration.seconds(60)

  /// The libmongoc pool.
  private struct Handle: @unchecked Sendable {
    // Safe to share: a pool may be used by every thread, and a client by one at a time.
    let pointer: OpaquePointer
  }

  /// Creates a pool from a MongoDB connection string. It does not connect yet.
  ///
  /// Time limits in the URI take effect. Without them, the socket timeout is 10 s, the server selection timeout 5 s,
  /// and the heartbeat interval 2 s. A read of a whole collection has a longer reply timeout where the server is slow.
  ///
  /// - Parameter text: the connection string.
  /// - Throws: an error that describes what is wrong with the connection string, or with a file that it names.
  public convenience init(uri text: String) throws(MongoError) {
    let uri = try MongoURI(text)
    try uri.checkFiles()
    self.init(uri)
  }

  /// Creates a pool from a validated connection string. It does not connect yet.
  ///
  /// - Parameter uri: the connection string.
  public convenience init(_ uri: MongoURI) {
    self.init(uri, replyTimeout: uri.replyTimeout)
  }

  private init(_ uri: MongoURI, replyTimeout: Duration) {
    self.uri = uri
    self.replyTimeout = replyTimeout
  }

  /// A pool of the same deployment for streams that have to catch up. It is this pool if the URI sets a socket timeout.
  var forCatchingUp: MongoClientPool {
    guard !uri.hasSocketTimeout, replyTimeout < Self.catchUpTimeout else { return self }
    return catchUp.withLock { pool in
      let made = pool ?? MongoClientPool(uri, replyTimeout: Self.catchUpTimeout)
      pool = made
      return made
    }
  }

  deinit {
    if let handle = handle.withLock({ $0 }) { mongoc_client_pool_destroy(handle.pointer) }
  }

  /// Creates libmongoc's pool when it is first needed. For a `mongodb+srv` URI this queries DNS at once, and DNS may be
  /// unavailable just as the database may.
  private func pool() throws(MongoError) -> OpaquePointer {
    try handle.withLock { handle throws(MongoError) in
      if let handle { return handle.pointer }
      let copy = try copyOfURI(replyTimeout: replyTimeout)
      defer { mongoc_uri_destroy(copy) }
      var error = bson_error_t()
      guard let pointer = mongoc_client_pool_new_with_error(copy, &error) else { throw MongoError(error) }
      mongoc_client_pool_set_error_api(pointer, MONGOC_ERROR_API_VERSION_2)
      handle = Handle(pointer: pointer)
      return pointer
    }
  }

  /// Creates a client with a connection of its own, for one thread. The caller must destroy it. It does not connect
  /// yet.
  ///
  /// - Parameter timeout: the socket timeout, if the URI sets none.
  func dedicatedClient(replyTimeout timeout: Duration) throws(MongoError) -> OpaquePointer {
    let copy = try copyOfURI(replyTimeout: timeout)
    defer { mongoc_uri_destroy(copy) }
    var error = bson_error_t()
    guard let client = mongoc_client_new_from_uri_with_error(copy, &error) else { throw MongoError(error) }
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2)
    return client
  }

  /// Copies the URI with a socket timeout, if the URI sets none. The caller must destroy the copy.
  private func copyOfURI(replyTimeout timeout: Duration) throws(MongoError) -> OpaquePointer {
    guard let copy = mongoc_uri_copy(uri.pointer) else { throw MongoError(message: "out of memory") }
    if !uri.hasSocketTimeout {
      mongoc_uri_set_option_as_int32(copy, "sockettimeoutms", Int32(clamping: timeout.milliseconds))
    }
    return copy
  }

  /// Takes a client out of the pool, for one thread. The caller must return it by ``push(_:)``.
  ///
  /// - Throws: an error if no client becomes available within the URI's `waitQueueTimeoutMS`.
  func pop() throws(MongoError) -> OpaquePointer {
    guard let client = mongoc_client_pool_pop(try pool()) else {
      throw MongoError(message: "\(place): no connection became free in time; raise maxPoolSize or waitQueueTimeoutMS")
    }
    return client
  }

  /// Returns a client to the pool.
  func push(_ client: OpaquePointer) {
    guard let handle = handle.withLock({ $0 }) else { return }
    mongoc_client_pool_push(handle.pointer, client)
  }

  /// Runs a command. Blocks the calling thread until the reply has been received.
  ///
  /// - Parameters:
  ///   - command: the command.
  ///   - database: the name of the database on which it runs.
  /// - Returns: the server's reply.
  /// - Throws: the error of the server or of the connection.
  public func command(_ command: BSONDocument, database: String) throws(MongoError) -> BSONDocument {
    let client = try pop()
    defer { push(client) }
    return try mongoReply { reply, error in
      command.withBSONPointer { mongoc_client_command_simple(client, database, $0, nil, reply, &error) }
    }
  }
}
