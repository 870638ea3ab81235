// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// A database with three collections and one oplog, which models the relevant parts of MongoDB: cluster times,
/// transactions and batches of inserts whose changes share one, documents as of any time, and history that can be
/// truncated. It runs on one thread.
///
/// With a majority it models a replica set: reads and streams end at the commit point, which follows the last write,
/// and resume tokens prove what a stream has delivered. Without one it models a database whose streams prove nothing
/// and that reports a time before everything of this time is visible.
// Safe to share: a simulation runs on one thread.
final class SimulatedDatabase: @unchecked Sendable {
  enum Change {
    case insert(SimulatedDocument)
    case replace(SimulatedDocument)
    case update(SimulatedDocument)
    case delete(Collection, id: String)
    case drop(Collection, String)
    case unknown(Collection)

    var collection: Collection {
      switch self {
      case .insert(let document), .replace(let document), .update(let document): document.collection
      case .delete(let collection, _), .drop(let collection, _), .unknown(let collection): collection
      }
    }
  }

  struct Event {
    let time: Revision
    let change: Change
    let document: BSONDocument?
    /// The fields that an update touched.
    let fields: Set<String>
    let isInTransaction: Bool
  }

  private struct Version {
    let time: Revision
    let document: (model: SimulatedDocument, bson: BSONDocument)?
  }

  private(set) var oplog: [Event] = []
  /// The number of copies of the database that have been restored.
  private(set) var copyNumber = 0
  /// The index of the first event in the oplog that has not been truncated.
  private(set) var floor = 0
  /// The time of the last command. It advances without changes, too.
  private(set) var now = Revision(seconds: 1_700_000_000, increment: 1)
  private var documents: [[String: [Version]]] = Collection.allCases.map { _ in [:] }
  /// The time of the last lookup. A document is never looked up as of an earlier time, because the majority commit
  /// point never goes back.
  private var lookedUp = Revision.none
  /// The last commit has its time, but is not visible yet: neither in the oplog, from this index on, nor in a document.
  private var hidden: (place: Int, until: MonotonicTime)?
  private let clock: SimulatedClock
  /// Whether there is a majority commit point.
  let hasMajority: Bool
  /// The majority commit point.
  private(set) var commitPoint = Revision(seconds: 1_700_000_000, increment: 1)
  /// Whether the majority is away, so that the commit point stands still.
  var isMajorityLost = false
  /// The number of oplog events up to the commit point.
  private var committedCount = 0

  init(_ clock: SimulatedClock, hasMajority: Bool) {
    self.clock = clock
    self.hasMajority = hasMajority
  }

  /// The operation time that replies contain.
  var reported: Revision { hasMajority ? commitPoint : now }

  // MARK: Changes

  /// Advances the cluster time without a change.
  func tick(_ chance: inout Chance) {
    now =
      chance.once(in: 8)
      ? Revision(seconds: now.seconds + 1, increment: 1) : Revision(seconds: now.seconds, increment: now.increment + 1)
    guard hasMajority, !isMajorityLost else { return }
    commitPoint =
      chance.once(in: 3) ? now : Revision(chance.between(commitPoint.rawValue, now.rawValue))
  }

  /// Commits changes together, at a new time. From the one at `place` on, they become visible only after `hiddenFor`,
  /// although the database reports their time at once: it does so before it has made them visible. The changes of a
  /// batch share their time as those of a transaction do, but do not say so.
  func commit(
    _ changes: [Change], hiddenFor milliseconds: UInt64 = 0, from place: Int = 0, isBatch: Bool = false,
    _ chance: inout Chance
  ) -> Revision {
    tick(&chance)
    if milliseconds > 0, !hasMajority, visibleCount == oplog.count {
      hidden = (oplog.count + place, clock.now.advanced(by: .milliseconds(milliseconds)))
    }
    for change in changes {
      var fields: Set<String> = []
      if case .update(let new) = change, let old = document(new.collection, new.id) {
        fields = new.fields(changedFrom: old)
      }
      let document = apply(change)
      oplog.append(
        Event(
          time: now, change: change, document: document, fields: fields, isInTransaction: changes.count > 1 && !isBatch)
      )
    }
    return now
  }

  /// Changes a document without an oplog entry.
  func changeSilently(_ change: Change, _ chance: inout Chance) {
    tick(&chance)
    _ = apply(change)
  }

  /// Replaces the database by another copy of itself. Streams that were opened before receive no more events and no
  /// notice of the replacement.
  func restore() {
    copyNumber += 1
  }

  /// Truncates the oplog to the last `kept` events.
  func truncate(keeping kept: Int) {
    floor = max(floor, oplog.count - kept)
  }

  private func apply(_ change: Change) -> BSONDocument? {
    switch change {
    case .insert(let document), .replace(let document), .update(let document):
      let bson = document.bson
      documents[document.collection.rawValue][document.id, default: []]
        .append(Version(time: now, document: (document, bson)))
      return bson
    case .delete(let collection, let id):
      documents[collection.rawValue][id]?.append(Version(time: now, document: nil))
    case .drop(let collection, _):
      for id in documents[collection.rawValue].keys {
        documents[collection.rawValue][id]?.append(Version(time: now, document: nil))
      }
    case .unknown: break
    }
    return nil
  }

  // MARK: Reading

  /// The number of visible oplog events.
  var visibleCount: Int {
    if hasMajority {
      while committedCount < oplog.count, oplog[committedCount].time <= commitPoint { committedCount += 1 }
      return committedCount
    }
    if let hidden, clock.now >= hidden.until { self.hidden = nil }
    return hidden?.place ?? oplog.count
  }

  /// The time up to which everything is visible.
  var visibleTime: Revision {
    if hasMajority { return commitPoint }
    let count = visibleCount
    return count < oplog.count ? Revision(oplog[count].time.rawValue - 1) : now
  }

  /// Makes a reader wait until everything up to `time` is visible.
  func wait(for time: Revision) {
    if visibleTime < time { hidden = nil }
    commitPoint = max(commitPoint, min(time, now))
  }

  /// The document as it is now.
  func document(_ collection: Collection, _ id: String) -> SimulatedDocument? {
    documents[collection.rawValue][id]?.last?.document?.model
  }

  /// The `_id`s of the existing documents.
  func ids(_ collection: Collection) -> [String] {
    documents[collection.rawValue].filter { $0.value.last?.document != nil }.keys.sorted()
  }

  /// The `_id`s of the documents that a read finds.
  func readableIDs(_ collection: Collection) -> [String] {
    guard hasMajority else { return ids(collection) }
    return documents[collection.rawValue].keys.filter { document(collection, $0, asOf: commitPoint) != nil }.sorted()
  }

  /// The document as of `time`.
  func document(_ collection: Collection, _ id: String, asOf time: Revision) -> (SimulatedDocument, BSONDocument)? {
    documents[collection.rawValue][id]?.last { $0.time <= time }?.document
  }

  /// Returns a time between `earliest` and now, usually now. It is never earlier than one that was returned before.
  func majorityTime(notBefore earliest: Revision, _ chance: inout Chance) -> Revision {
    wait(for: earliest)
    let (low, high) = (max(earliest, lookedUp), max(lookedUp, visibleTime))
    if chance.once(in: 3), low < high {
      lookedUp = Revision(chance.between(low.rawValue, high.rawValue))
    } else {
      lookedUp = high
    }
    return lookedUp
  }
}
