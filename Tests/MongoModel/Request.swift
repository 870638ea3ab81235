// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A command as received.
struct Request: Sendable {
  /// The command's name: that of the first field.
  var command: String
  /// The field `$db`.
  var database: String
  /// The body.
  var body: BSONDocument
  /// The documents of each section of kind 1, by the section's name.
  var sequences: [String: [BSONDocument]] = [:]
  /// The number of the connection.
  var connection = 0
  /// The application name of the connection's handshake.
  var applicationName = ""
  /// Whether it was an OP_QUERY.
  var isLegacy = false

  init(_ body: BSONDocument, database: String? = nil) {
    self.body = body
    command = ""
    self.database = database ?? ""
    body.bytes.withUnsafeBufferPointer { bytes in
      var scanner = ElementScanner(bytes)
      if scanner.next() { command = scanner.nameText }
    }
    if database == nil { self.database = body.field("$db")?.text ?? "" }
  }

  /// The collection that the command's first field names.
  var namespace: Namespace { Namespace(database, body.field(command)?.text ?? "") }

  /// The documents of a field that is an array in the body or a section of its own.
  func documents(_ name: String) -> [BSONDocument] {
    sequences[name] ?? body.field(name)?.elements.compactMap(\.document) ?? []
  }

  var readConcern: (level: String, after: Revision?) {
    body.withObject { object in
      guard let concern = object.value("readConcern").flatMap({ BSONObject(elementsOf: $0) }) else {
        return ("local", nil)
      }
      let level = concern.value("level")?.stringBytes.map { String(decoding: $0, as: UTF8.self) }
      let time = concern.value("afterClusterTime")?.timestamp
      return (level ?? "local", time.map { Revision(seconds: $0.seconds, increment: $0.increment) })
    }
  }

  /// The session and the number of a retryable write or a transaction.
  var transactionID: TransactionID? {
    guard let session = body.field("lsid")?.document, let number = body.field("txnNumber")?.integer else { return nil }
    let id = session.field("id").map { value in BSONDocument { $0.append("id", value) } }
    return TransactionID(session: id ?? session, number: number)
  }

  /// Whether the command belongs to a transaction of several statements.
  var isInTransaction: Bool { body.field("autocommit") != nil }
}

/// What is remembered of a command that waits.
struct Attempt: Sendable {
  /// When the command was received.
  let startedAt: Double
  /// Whether the command has begun: its delay is over, and its fail point has been tried.
  var hasBegun = false
  /// Whether the command has been counted.
  var isCounted = false
  /// When its work began, after the delay.
  var begunAt: Double
  /// The oplog's time that the command's writes have.
  var writeTime: Revision?
  /// The reply of a write that waits for its write concern.
  var written: BSONBuilder?
  /// Whether a no-op has been written for the command.
  var hasWrittenNoop = false
  /// Whether the command concerns a change stream.
  var isChangeStream = false
  /// Whether the command has the read concern `majority`.
  var isMajority = false
  /// The change stream that the command opens, while its first scan is in progress.
  var opening: ChangeStreamState?
  /// The change stream that the command opens at a router.
  var openingRouterStream: RouterStream?
  /// The parts of the command at shards, for a router.
  var shardAttempts: [Int: Attempt] = [:]
  /// The answers of shards that have come.
  var shardReplies: [Int: [BSONDocument]] = [:]
  /// How far the change stream had been scanned when the command began.
  var scannedAtBegin: Revision?

  init(startedAt: Double) {
    self.startedAt = startedAt
    begunAt = startedAt
  }
}

/// The outcome of an attempt at a command.
enum Outcome: Sendable {
  /// The command is answered.
  case reply(BSONDocument)
  /// The command waits until this time of the model's clock at most, or for a change.
  case wait(until: Double)
  /// The connection is closed without an answer.
  case hangUp
}

/// What a command's function throws to wait.
enum Interruption: Error, Sendable {
  case wait(until: Double)
  case failed(CommandError)
}
