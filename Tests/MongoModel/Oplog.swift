// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON
public import ConfigLookupCore

/// One change within an oplog entry.
public struct Operation: Sendable {
  /// The kind of a change.
  public enum Kind: Sendable, Equatable {
    case insert, update, replace, delete
    case create, drop, dropDatabase
    /// The second name is that of the collection afterwards. The UUID is that of the collection that the target had
    /// before, if there was one.
    case rename(to: Namespace, droppedUUID: [UInt8]?)
    /// Post-images are switched on or off.
    case setImages(Bool)
  }

  /// The kind.
  public var kind: Kind
  /// The collection.
  public var namespace: Namespace
  /// The UUID of the collection.
  public var uuid: [UInt8]
  /// The document key, for changes of documents.
  public var key: BSONDocument = .empty
  /// The document after the change, if there is one.
  public var document: BSONDocument?
  /// The document before the change, if there was one.
  public var before: BSONDocument?
  /// The field `updateDescription` of the event of an update.
  public var delta: BSONDocument?
  /// Whether the collection had post-images at that time.
  public var hasImage = false

  init(_ kind: Kind, _ namespace: Namespace, uuid: [UInt8]) {
    self.kind = kind
    self.namespace = namespace
    self.uuid = uuid
  }
}

/// The session and the number of a transaction.
public struct TransactionID: Sendable, Hashable {
  /// The bytes of the session's `id`.
  public var session: BSONDocument
  /// The number.
  public var number: Int64

  /// Whether two identify the same transaction.
  ///
  /// - Parameters:
  ///   - left: one.
  ///   - right: the other one.
  /// - Returns: true if they are equal.
  public static func == (left: Self, right: Self) -> Bool {
    left.number == right.number && left.session.bytes == right.session.bytes
  }

  /// Adds it to a hasher.
  ///
  /// - Parameter hasher: the hasher.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(session.bytes)
    hasher.combine(number)
  }
}

/// An entry of the oplog. Its operations share its time. An entry without operations is a no-op.
public struct OplogEntry: Sendable {
  /// The cluster time.
  public var time: Revision
  /// The term of the primary that wrote the entry.
  public var term: Int64
  /// The wall-clock time in milliseconds since 1970.
  public var wallTime: Int64
  /// When the primary wrote the entry, in seconds of the model's clock.
  public var writtenAt: Double
  /// The changes. Several are a transaction, or since MongoDB 8.0 an insert of several documents.
  public var operations: [Operation]
  /// The transaction, if there was one. Batched inserts have none.
  public var transaction: TransactionID?
  /// The time as of which the changes are visible, if it is another one: that of a prepared transaction.
  public var commitTimestamp: Revision?

  /// The approximate size in bytes.
  var byteCount: Int { operations.reduce(100) { $0 + ($1.document?.bytes.count ?? 0) + 100 } }
}

/// The oplog of one member.
public struct Oplog: Sendable {
  /// The entries that are still there, in order of time.
  public private(set) var entries: [OplogEntry] = []
  /// The time of the last entry that was truncated; none while the oplog holds the first entry of the replica set.
  public private(set) var truncatedThrough = Revision.none
  private var byteCount = 0

  /// The time of the last entry.
  var lastTime: Revision { entries.last?.time ?? truncatedThrough }
  /// The term of the last entry.
  var lastTerm: Int64 { entries.last?.term ?? 0 }

  mutating func append(_ entry: OplogEntry, maximumBytes: Int) {
    precondition(entry.time > lastTime, "the times of an oplog ascend")
    byteCount += entry.byteCount
    entries.append(entry)
    if byteCount > maximumBytes { truncate(keepingBytes: maximumBytes / 10 * 9) }
  }

  private mutating func truncate(keepingBytes kept: Int) {
    var count = 0
    var left = byteCount
    while left > kept, count < entries.count - 1 {
      left -= entries[count].byteCount
      count += 1
    }
    truncate(count: count)
  }

  /// Removes the oldest entries.
  mutating func truncate(count: Int) {
    guard count > 0 else { return }
    byteCount -= entries[..<count].reduce(0) { $0 + $1.byteCount }
    truncatedThrough = entries[count - 1].time
    entries.removeFirst(count)
  }

  /// Removes every entry after a time: a rollback. Returns the removed entries.
  mutating func removeEntries(after time: Revision) -> ArraySlice<OplogEntry> {
    let index = firstIndex(after: time)
    let removed = entries[index...]
    byteCount -= removed.reduce(0) { $0 + $1.byteCount }
    entries.removeSubrange(index...)
    return removed
  }

  /// The index of the first entry after a time.
  func firstIndex(after time: Revision) -> Int {
    var (low, high) = (0, entries.count)
    // Most searches are at the end.
    if let last = entries.last, last.time <= time { return entries.count }
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].time > time { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// Whether the oplog holds an entry of this time and term.
  func contains(_ time: Revision, term: Int64) -> Bool {
    let index = firstIndex(after: time) - 1
    return index >= 0 && entries[index].time == time && entries[index].term == term
  }
}
