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
  private var state: State
  /// The highest operation time that the server has reported.
  private(set) var operationTime = Revision.none

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

  /// Runs a command and returns its reply.
  func command(_ command: BSONDocument, database: String) throws(SourceError) -> BSONDocument {
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
      readOperationTime(session)
      return reply
    } catch {
      let waited = MonotonicTime.now.duration(since: began)
      throw SourceError(
        error.afterWaiting(waited, for: "the reply to \(command.firstName) on \(database)"), at: pool.place)
    }
  }

  func close() {
    guard case .open(let session, let client) = state else { return }
    state = .closed
    mongoc_client_session_destroy(session)
    pool.push(client)
  }

  private func readOperationTime(_ session: OpaquePointer) {
    var seconds: UInt32 = 0
    var increment: UInt32 = 0
    mongoc_client_session_get_operation_time(session, &seconds, &increment)
    operationTime = max(operationTime, Revision(seconds: seconds, increment: increment))
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
