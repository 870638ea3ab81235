// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The state of a change stream's cursor.
struct ChangeStreamState {
  enum Scope: Equatable {
    case collection(Namespace)
    case database(String)
    case cluster

    func contains(_ namespace: Namespace) -> Bool {
      switch self {
      case .collection(let own): own == namespace
      case .database(let name): name == namespace.database
      case .cluster: true
      }
    }
  }

  enum Stage {
    case match(Filter)
    case project(Projection)
  }

  var scope: Scope
  var fullDocument = "default"
  var beforeChange = "off"
  var showsExpandedEvents = false
  var stages: [Stage] = []
  var tokenVersion: Int
  /// Everything up to this time has been scanned, but for the events in `queue`.
  var scanned: Revision
  /// The events of the last scanned entry that have not been returned.
  var queue: ArraySlice<EventStub> = []
  /// Events that a scan in progress will return.
  var ready: [BSONDocument] = []
  var readyBytes = 0
  /// The event after which the stream resumes, until it has been found.
  var sought: ResumeTokenData?
  /// The field `postBatchResumeToken`, and its time.
  var token: BSONDocument
  var tokenTime: Revision
  var isInvalidated = false
}

/// An event before its document has been made.
struct EventStub {
  var type: String
  var operation: Operation
  var time: Revision
  var wallTime: Int64
  var index: Int
  var transaction: TransactionID?
  var commitTimestamp: Revision?

  var isInvalidate: Bool { type == "invalidate" }

  /// The events of an entry that a stream contains (`UnwindTransaction`). The index is that of the operation in the
  /// entry, whatever the stream contains.
  static func unwind(_ entry: OplogEntry, _ stream: ChangeStreamState) -> ArraySlice<EventStub> {
    var stubs: [EventStub] = []
    for (index, operation) in entry.operations.enumerated() {
      func add(_ type: String) {
        stubs.append(
          EventStub(
            type: type, operation: operation, time: entry.time, wallTime: entry.wallTime, index: index,
            transaction: entry.transaction, commitTimestamp: entry.commitTimestamp))
      }
      let isOwn = stream.scope.contains(operation.namespace)
      switch operation.kind {
      case .insert where isOwn: add("insert")
      case .update where isOwn: add("update")
      case .replace where isOwn: add("replace")
      case .delete where isOwn: add("delete")
      case .create where isOwn && stream.showsExpandedEvents: add("create")
      case .setImages where isOwn && stream.showsExpandedEvents: add("modify")
      case .drop where isOwn:
        add("drop")
        if case .collection = stream.scope { add("invalidate") }
      case .rename(let target, _) where isOwn || stream.scope.contains(target):
        add("rename")
        if case .collection = stream.scope { add("invalidate") }
      case .dropDatabase:
        switch stream.scope {
        case .database(operation.namespace.database):
          add("dropDatabase")
          add("invalidate")
        case .cluster: add("dropDatabase")
        default: break
        }
      default: break
      }
    }
    return stubs[...]
  }

  /// The token of the event.
  func token(version: Int) -> ResumeTokenData {
    var identifier = operation.key
    var isCommand = false
    switch operation.kind {
    case .insert, .update, .replace, .delete: break
    case .rename(let target, _):
      isCommand = true
      identifier = BSONDocument {
        $0.append("to") {
          $0.append("db", target.database)
          $0.append("coll", target.collection)
        }
      }
    case .create, .drop, .dropDatabase, .setImages: isCommand = true
    }
    return ResumeTokenData(
      event: time, version: version, operationIndex: index, isInvalidate: isInvalidate, uuid: operation.uuid,
      operationType: isInvalidate ? "invalidate" : type, identifier: identifier, isCommand: isCommand)
  }
}

extension ResumeTokenData {
  /// The token as a document in the format of AWS DocumentDB, which is not documented: version, time, kind and index.
  var foreignDocument: BSONDocument {
    let kind: UInt8 = kind == .event ? 0x80 : 0
    let bytes = [1] + littleEndian(time.rawValue).reversed() + [kind] + littleEndian(UInt32(operationIndex)).reversed()
    return BSONDocument { $0.append("_data", hexadecimal(bytes)) }
  }

  /// Decodes a token of ``foreignDocument``.
  init?(foreignData: String) {
    guard foreignData.hasPrefix("01"), foreignData.count == 28,
      let raw = UInt64(foreignData.dropFirst(2).prefix(16), radix: 16),
      let index = Int(foreignData.suffix(8), radix: 16)
    else { return nil }
    self.init(highWaterMark: Revision(raw), version: 2)
    if foreignData.dropFirst(18).prefix(2) == "80" { kind = .event }
    operationIndex = index
  }
}
