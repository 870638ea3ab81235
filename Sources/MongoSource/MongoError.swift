// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// An error of libmongoc or of the server, with its code, labels and message. It never contains a document or a
/// password.
public struct MongoError: Error, Sendable, CustomStringConvertible {
  /// The server's error code if ``isFromServer``, otherwise libmongoc's.
  public let code: Int
  /// The message of the server or of libmongoc.
  public let message: String
  /// The server's error labels, e.g. `ResumableChangeStreamError`.
  public let labels: [String]
  /// Whether the server returned the error.
  public let isFromServer: Bool

  /// Creates an error from libmongoc's. `reply` is the server's reply, if there is one; it is only read.
  init(_ error: bson_error_t, reply: OpaquePointer? = nil) {
    var error = error
    code = Int(error.code)
    message = withUnsafeBytes(of: &error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    isFromServer = error.domain == MONGOC_ERROR_SERVER.rawValue || error.domain == MONGOC_ERROR_WRITE_CONCERN.rawValue
    var labels: [String] = []
    if let reply {
      BSONDocument(uncheckedBytes: BSONDocument.copyBytes(of: reply)).withObject { reply in
        guard let value = reply.value("errorLabels") else { return }
        BSONObject(elementsOf: value)?.forEach { _, label in
          if let text = label.stringBytes { labels.append(String(decoding: text, as: UTF8.self)) }
          return true
        }
      }
    }
    self.labels = labels
  }

  init(code: Int = 0, message: String, labels: [String] = []) {
    self.code = code
    self.message = message
    self.labels = labels
    isFromServer = false
  }

  /// Adds what was waited for to the message, if the error ended a wait of at least one second and did not come from
  /// the server.
  func afterWaiting(_ wait: Duration, for what: @autoclosure () -> String) -> MongoError {
    guard !isFromServer, wait >= .seconds(1) else { return self }
    return MongoError(
      code: code, message: "\(message), after waiting \(Int(wait.seconds.rounded())) s for \(what())", labels: labels)
  }

  /// The message, followed by the code if there is one.
  public var description: String { code == 0 ? message : "\(message) (code \(code))" }
}

extension MongoClientPool {
  /// Takes a client out of the pool. Throws the error as a `SourceError`.
  func popForSource() throws(SourceError) -> OpaquePointer {
    do throws(MongoError) {
      return try pop()
    } catch {
      throw SourceError(error, at: place)
    }
  }
}

extension SourceError {
  /// Classifies an error of MongoDB by the way in which the cache can handle it. `place` is the name of the database in
  /// messages.
  ///
  /// Error codes: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml. The codes that end a
  /// change stream: https://www.mongodb.com/docs/manual/administration/change-streams-production-recommendations/
  ///
  /// - Parameters:
  ///   - error: the error of the driver or the server.
  ///   - place: the name of the database in messages.
  ///   - isTimeout: whether the server did not reply within the socket timeout.
  init(_ error: MongoError, at place: String, isTimeout: Bool = false) {
    let text = "\(place): \(error.description)"
    if error.isFromServer,
      Self.historyLostCodes.contains(error.code)
        || error.labels.contains("NonResumableChangeStreamError")
    {
      self.init(.historyLost, code: error.code, text, isFromServer: true)
    } else if let advice = Self.advice(for: error) {
      self.init(.misconfigured, code: error.code, text, advice: advice, isFromServer: error.isFromServer)
    } else {
      let isTemporary = error.isFromServer && Self.isTemporary(error)
      self.init(
        .transient, code: error.code, text, isFromServer: error.isFromServer, isTemporary: isTemporary,
        isTimeout: isTimeout)
    }
  }

  /// CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost, and the codes that
  /// servers before 4.2 returned instead; OplogQueryMinTsMissing; BSONObjectTooLarge, for an event that no reply can
  /// contain; the codes of a resume token that the server cannot decode.
  private static let historyLostCodes: Set<Int> = [
    136, 260, 280, 286, 40576, 40585, 40615, 50811, 326, 10334, 40647, 40648, 40649,
  ]

  /// Whether the server rejects commands for now, for example because it is not primary or is shutting down.
  private static func isTemporary(_ error: MongoError) -> Bool {
    temporaryCodes.contains(error.code)
      || !Set(error.labels).isDisjoint(with: ["RetryableError", "ResumableChangeStreamError"])
  }

  /// HostUnreachable, HostNotFound, NetworkTimeout, ShutdownInProgress, ReadConcernMajorityNotAvailableYet,
  /// PrimarySteppedDown, ExceededTimeLimit, SocketException, NotWritablePrimary, InterruptedAtShutdown,
  /// InterruptedDueToReplStateChange, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary.
  private static let temporaryCodes: Set<Int> = [6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436]

  private static func advice(for error: MongoError) -> String? {
    if error.isFromServer {
      switch error.code {
      case 13: return "grant the user the actions find and changeStream on the collection"
      case 18: return "check the user name, the password and authSource in the URI"
      case 40573, 40324: return replicaSetAdvice
      default: return nil
      }
    }
    switch error.code {
    case Int(MONGOC_ERROR_CLIENT_AUTHENTICATE.rawValue):
      return "check the user name, the password and authSource in the URI"
    case Int(MONGOC_ERROR_SERVER_SELECTION_FAILURE.rawValue):
      return "check that MongoDB runs at that address, and TLS and replicaSet in the URI"
    default: return nil
    }
  }

  /// The error of a database that resembles MongoDB but lacks what correct answers need.
  ///
  /// - Parameters:
  ///   - behavior: what the database does, as the end of a sentence.
  ///   - place: the name of the database in messages.
  static func unsupported(_ behavior: String, at place: String) -> SourceError {
    SourceError(
      .misconfigured, "\(place) \(behavior), so the times of changes are not known",
      advice: "use a replica set or a sharded cluster of MongoDB 4.2 or later", isFromServer: true)
  }

  static let replicaSetAdvice =
    "change streams need a replica set: start mongod with --replSet and run rs.initiate(); one member is enough"
}
