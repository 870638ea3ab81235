internal import BSON
internal import ChangeStreamCache
internal import Core

/// A database with three collections and one oplog, as MongoDB has it where it matters: cluster times, transactions
/// that share one, documents as of any moment, history that can be truncated. One thread.
// Safe to share: a simulation is one thread.
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
    /// What an update touched.
    let fields: Set<String>
    let isInTransaction: Bool
  }

  private struct Version {
    let time: Revision
    let document: (model: SimulatedDocument, bson: BSONDocument)?
  }

  private(set) var oplog: [Event] = []
  /// Events before this place are gone.
  private(set) var floor = 0
  /// Of the last command: moves on without changes too.
  private(set) var now = Revision(seconds: 1_700_000_000, increment: 1)
  private var documents: [[String: [Version]]] = Collection.allCases.map { _ in [:] }
  /// Documents are never looked up as of an earlier moment than before: the majority does not go back.
  private var lookedUp = Revision.none

  // MARK: Changes

  /// Time goes by without a change.
  func tick(_ chance: inout Chance) {
    now =
      chance.once(in: 8)
      ? Revision(seconds: now.seconds + 1, increment: 1) : Revision(seconds: now.seconds, increment: now.increment + 1)
  }

  /// Commits the changes together, at a new time.
  func commit(_ changes: [Change], _ chance: inout Chance) -> Revision {
    tick(&chance)
    for change in changes {
      var fields: Set<String> = []
      if case .update(let new) = change, let old = document(new.collection, new.id) {
        fields = new.fields(changedFrom: old)
      }
      let document = apply(change)
      oplog.append(
        Event(time: now, change: change, document: document, fields: fields, isInTransaction: changes.count > 1))
    }
    return now
  }

  /// Changes a document without a trace in the oplog.
  func changeSilently(_ change: Change, _ chance: inout Chance) {
    tick(&chance)
    _ = apply(change)
  }

  /// Forgets what happened before the last `kept` events.
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

  /// The document as it is now.
  func document(_ collection: Collection, _ id: String) -> SimulatedDocument? {
    documents[collection.rawValue][id]?.last?.document?.model
  }

  /// The `_id`s of what is there now.
  func ids(_ collection: Collection) -> [String] {
    documents[collection.rawValue].filter { $0.value.last?.document != nil }.keys.sorted()
  }

  /// The document as of `time`.
  func document(_ collection: Collection, _ id: String, asOf time: Revision) -> (SimulatedDocument, BSONDocument)? {
    documents[collection.rawValue][id]?.last { $0.time <= time }?.document
  }

  /// A moment between `earliest` and now, most often now; never before one that was given.
  func majorityTime(notBefore earliest: Revision, _ chance: inout Chance) -> Revision {
    let low = max(earliest, lookedUp)
    if chance.once(in: 3), low < now {
      lookedUp = Revision(chance.between(low.rawValue, now.rawValue))
    } else {
      lookedUp = now
    }
    return lookedUp
  }
}
