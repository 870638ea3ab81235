public import BSON
internal import CMongoC
internal import Core

/// A pool of connections to one MongoDB deployment. Any thread.
///
/// https://mongoc.org/libmongoc/current/connection-pooling.html
public final class MongoClientPool: @unchecked Sendable {
  // Safe to share: a pool may be used by every thread, and the pointer is set once. A client is used by one thread.
  private let pool: OpaquePointer
  /// The hosts, for messages: without user and password.
  public let place: String

  /// Three streams, three reads, and commands beside them.
  private static let leastClients: Int32 = 16

  /// What the connections are for. libmongoc before 1.27 has one socket timeout a pool; the two want different ones.
  public enum Purpose: Sendable {
    /// Streams and commands: an answer is due within a second, so a silence of 10 s is a dead link. (libmongoc's own 5
    /// minutes would make it look like a quiet collection.)
    case streams
    /// Reads of whole collections, whose first answer may take the server a while: 2 minutes.
    case reads
  }

  /// `uri` is a MongoDB connection string. Throws what is wrong with it; does not connect yet.
  ///
  /// Timeouts that the URI sets are kept. Where it says nothing, a socket waits as `purpose` says, a server is
  /// looked for for 5 s, and looked at every 2 s.
  public init(uri text: String, for purpose: Purpose = .streams) throws(MongoError) {
    _ = MongoLibrary.started
    var error = bson_error_t()
    guard let uri = mongoc_uri_new_with_error(text, &error) else {
      // libmongoc quotes a user or a password that it cannot read.
      let problem = MongoError(error)
      guard problem.message.hasPrefix("Password") || problem.message.hasPrefix("Username") else { throw problem }
      throw MongoError(message: "user and password must be percent-encoded (a colon is %3A, an at sign %40)")
    }
    defer { mongoc_uri_destroy(uri) }
    let socketTimeout = purpose == .streams ? 10_000 : 120_000
    for (option, milliseconds) in [
      ("sockettimeoutms", socketTimeout), ("serverselectiontimeoutms", 5_000), ("connecttimeoutms", 5_000),
      // After an error of a primary that steps down, the driver takes no server until its monitor has heard from one:
      // up to 10 s by itself.
      ("heartbeatfrequencyms", 2_000),
    ]
    where !mongoc_uri_has_option(uri, option) {
      mongoc_uri_set_option_as_int32(uri, option, Int32(milliseconds))
    }
    // A stream holds a client for as long as it lives: with fewer, the last cache would wait for ever.
    if mongoc_uri_get_option_as_int32(uri, "maxpoolsize", 100) < Self.leastClients {
      mongoc_uri_set_option_as_int32(uri, "maxpoolsize", Self.leastClients)
    }
    // What is served must not be rolled back, nor lie behind the stream: streams and reads are the primary's.
    guard let primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY) else { throw MongoError(message: "out of memory") }
    defer { mongoc_read_prefs_destroy(primary) }
    mongoc_uri_set_read_prefs_t(uri, primary)
    if mongoc_uri_get_appname(uri) == nil { mongoc_uri_set_appname(uri, "config-lookup") }

    var hosts: [String] = []
    var host = mongoc_uri_get_hosts(uri)
    while let current = host {
      hosts.append(
        withUnsafeBytes(of: current.pointee.host_and_port) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
      host = UnsafePointer(current.pointee.next)
    }
    place = "MongoDB at " + hosts.joined(separator: ",")

    guard let pool = mongoc_client_pool_new_with_error(uri, &error) else { throw MongoError(error) }
    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2)
    self.pool = pool
  }

  deinit {
    mongoc_client_pool_destroy(pool)
  }

  /// Takes a client out of the pool: for one thread, to be given back by ``push(_:)``.
  ///
  /// Throws where the URI's `waitQueueTimeoutMS` passes first.
  func pop() throws(MongoError) -> OpaquePointer {
    guard let client = mongoc_client_pool_pop(pool) else {
      throw MongoError(message: "\(place): no connection became free in time; raise maxPoolSize or waitQueueTimeoutMS")
    }
    return client
  }

  func push(_ client: OpaquePointer) {
    mongoc_client_pool_push(pool, client)
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
