// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A client of the pool in a session on one server. It serves commands that belong together, such as those of a cursor,
/// which the server rejects in another session. It never sends a command twice. Only one thread may use and close it.
///
/// https://github.com/mongodb/specifications/blob/master/source/sessions/driver-sessions.md
final class MongoSession {
  private enum State {
    case open(session: OpaquePointer, client: OpaquePointer)
    case closed
  }

  private let pool: MongoClientPool
  private let serverID: UInt32
  /// Whether the server is a router of a sharded cluster.
  let isRouter: Bool
  /// Whether the server was the primary when the session started.
  private let wasPrimary: Bool
  private var checkedAt = MonotonicTime.now
  private var state: State
  /// The highest operation time that the server has reported with a majority read: its majority commit point.
  private(set) var operationTime = Revision.none
  /// The highest cluster time of the deployment that a reply has contained (`$clusterTime`).
  private(set) var clusterTime = Revision.none

  /// How often the session checks whether its server is still the primary.
  private static let checkInterval = Duration.seconds(1)

  /// Starts a session on the primary.
  init(pool: MongoClientPool) throws(SourceError) {
    self.pool = pool
    let client = try pool.popForSource()
    var error = bson_error_t()
    guard let server = mongoc_client_select_server(client, true, nil, &error) else {
      pool.push(client)
      throw SourceError(MongoError(error), at: pool.place)
    }
    serverID = mongoc_server_description_id(server)
    let type = String(cString: mongoc_server_description_type(server))
    (isRouter, wasPrimary) = (type == "Mongos", type == "RSPrimary")
    mongoc_server_description_destroy(server)
    let options = mongoc_session_opts_new()
    defer { mongoc_session_opts_destroy(options) }
    // The session serves the cursor. None of its commands has to wait for earlier operations.
    mongoc_session_opts_set_causal_consistency(options, false)
    guard let session = mongoc_client_start_session(client, options, &error) else {
      pool.push(client)
      throw SourceError(MongoError(error), at: pool.place)
    }
    state = .open(session: session, client: client)
  }

  deinit {
    guard case .closed = state else { preconditionFailure("a session must be closed by its thread") }
  }

  /// Checks that the server is still the primary if it was when the session started. A cursor survives the end of that
  /// role, and a demoted member may be far behind.
  ///
  /// - Throws: a transient error if the monitor of the deployment has seen another role, or removed the server.
  func checkRole() throws(SourceError) {
    guard wasPrimary, case .open(_, let client) = state else { return }
    let now = MonotonicTime.now
    guard now.duration(since: checkedAt) >= Self.checkInterval else { return }
    checkedAt = now
    var count = 0
    guard let servers = mongoc_client_get_server_descriptions(client, &count) else { return }
    defer { mongoc_server_descriptions_destroy_all(servers, count) }
    var own: String?
    var hasOtherPrimary = false
    for server in UnsafeBufferPointer(start: servers, count: count) {
      guard let server else { continue }
      let type = String(cString: mongoc_server_description_type(server))
      if mongoc_server_description_id(server) == serverID {
        own = type
      } else if type == "RSPrimary" {
        hasOtherPrimary = true
      }
    }
    guard let own else {
      throw SourceError(.transient, "\(pool.place): the server of the change stream has left the replica set")
    }
    // "Unknown" says that the monitor is waiting for a reply, or that the server calls itself primary although a later
    // election has made another one primary.
    guard own == "RSPrimary" || !hasOtherPrimary && ["PossiblePrimary", "Unknown"].contains(own) else {
      throw SourceError(.transient, "\(pool.place): the server of the change stream is no longer primary")
    }
  }

  /// The last `$clusterTime` with its signature; nil if the server has not sent one.
  var signedClusterTime: BSONDocument? {
    guard case .open(let session, _) = state, let time = mongoc_client_session_get_cluster_time(session) else {
      return nil
    }
    return BSONDocument(uncheckedBytes: BSONDocument.copyBytes(of: time))
  }

  /// Runs a command and returns its reply.
  ///
  /// Only majority reads report the majority commit point as their operation time. Other commands report the last write
  /// that the server has applied, which can still be rolled back.
  func command(
    _ command: BSONDocument, database: String, isMajorityRead: Bool = true
  ) throws(SourceError) -> BSONDocument {
    guard case .open(let session, let client) = state, let options = bson_new() else {
      throw SourceError(.transient, "closed")
    }
    defer { bson_destroy(options) }
    var error = bson_error_t()
    guard mongoc_client_session_append(session, options, &error) else {
      throw SourceError(MongoError(error), at: pool.place)
    }
    bson_append_int32(options, "serverId", -1, Int32(bitPattern: serverID))
    let began = MonotonicTime.now
    do throws(MongoError) {
      let reply = try mongoReply { reply, error in
        command.withBSONPointer {
          mongoc_client_command_with_opts(client, database, $0, nil, options, reply, &error)
        }
      }
      readTimes(reply, isMajorityRead: isMajorityRead)
      return reply
    } catch {
      let waited = MonotonicTime.now.duration(since: began)
      throw SourceError(
        error.afterWaiting(waited, for: "the reply to \(command.firstName) on \(database)"), at: pool.place,
        isTimeout: !error.isFromServer && waited >= pool.replyTimeout * 0.9)
    }
  }

  func close() {
    guard case .open(let session, let client) = state else { return }
    state = .closed
    mongoc_client_session_destroy(session)
    pool.push(client)
  }

  private func readTimes(_ reply: BSONDocument, isMajorityRead: Bool) {
    let (operation, cluster) = reply.withObject { reply in
      (
        reply.value("operationTime")?.timestamp.map(Revision.init(seconds:increment:)),
        reply.value("$clusterTime").flatMap { BSONObject(elementsOf: $0) }?.value("clusterTime")?.timestamp
          .map(Revision.init(seconds:increment:))
      )
    }
    if isMajorityRead { operationTime = max(operationTime, operation ?? .none) }
    clusterTime = max(clusterTime, operationTime, cluster ?? .none)
  }
}

extension BSONDocument {
  /// The name of the first field, which is the name of a command.
  fileprivate var firstName: String {
    var name = ""
    withObject { object in
      object.forEach { key, _ in
        name = String(decoding: key, as: UTF8.self)
        return false
      }
    }
    return name
  }
}
