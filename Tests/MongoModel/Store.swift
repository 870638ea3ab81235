// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The documents of one member, as of each time since the oplog's first entry.
final class Store {
  struct Version {
    var time: Revision
    /// The document; nil if it is deleted.
    var document: BSONDocument?
  }

  /// The documents of one collection. A document that is inserted again gets its old place.
  final class Rows {
    let uuid: [UInt8]
    private var places: [DocumentID: Int] = [:]
    private var rows: [[Version]] = []

    init(uuid: [UInt8]) {
      self.uuid = uuid
    }

    var count: Int { rows.count }

    /// The document of an `_id` as of a time.
    func document(_ id: DocumentID, asOf time: Revision) -> BSONDocument? {
      places[id].flatMap { document(at: $0, asOf: time) }
    }

    /// The document at a place as of a time.
    func document(at place: Int, asOf time: Revision) -> BSONDocument? {
      rows[place].last { $0.time <= time }?.document
    }

    func place(of id: DocumentID) -> Int? { places[id] }

    /// Writes a version, and forgets those that were replaced before `horizon`.
    func write(_ id: DocumentID, _ document: BSONDocument?, at time: Revision, horizon: Revision) {
      guard let place = places[id] else {
        guard let document else { return }
        places[id] = rows.count
        rows.append([Version(time: time, document: document)])
        return
      }
      rows[place].append(Version(time: time, document: document))
      let count = rows[place].count
      if count >= 4, rows[place][count / 2].time <= horizon { rows[place].removeFirst(count / 2) }
    }

    func removeVersions(after time: Revision) {
      for place in rows.indices {
        while let last = rows[place].last, last.time > time { rows[place].removeLast() }
      }
    }
  }

  struct Collection {
    var rows: Rows
    var hasImages = false
  }

  /// The collections since each time at which a collection was created, dropped, renamed or modified.
  private var catalogs: [(time: Revision, collections: [Namespace: Collection])] = [(.none, [:])]

  /// The collections as they are now.
  var collections: [Namespace: Collection] { catalogs[catalogs.count - 1].collections }

  /// The collections as of a time.
  func collections(asOf time: Revision) -> [Namespace: Collection] {
    catalogs.last { $0.time <= time }?.collections ?? [:]
  }

  /// The collection of a name as of a time.
  func collection(_ namespace: Namespace, asOf time: Revision) -> Collection? {
    collections(asOf: time)[namespace]
  }

  /// Applies an entry of the oplog.
  func apply(_ entry: OplogEntry, horizon: Revision) {
    let time = entry.commitTimestamp ?? entry.time
    for operation in entry.operations {
      switch operation.kind {
      case .insert, .update, .replace, .delete:
        guard let id = operation.key.id else { continue }
        collections[operation.namespace]?.rows.write(
          id, operation.kind == .delete ? nil : operation.document, at: time, horizon: horizon)
      case .create:
        change(entry.time) { $0[operation.namespace] = Collection(rows: Rows(uuid: operation.uuid)) }
      case .drop: change(entry.time) { $0[operation.namespace] = nil }
      case .rename(let target, _):
        change(entry.time) { collections in
          collections[target] = collections[operation.namespace]
          collections[operation.namespace] = nil
        }
      case .setImages(let isOn): change(entry.time) { $0[operation.namespace]?.hasImages = isOn }
      case .dropDatabase: break
      }
    }
  }

  private func change(_ time: Revision, _ body: (inout [Namespace: Collection]) -> Void) {
    var collections = collections
    body(&collections)
    catalogs.append((time, collections))
  }

  /// Undoes everything after a time.
  func rollBack(to time: Revision) {
    var all: [ObjectIdentifier: Rows] = [:]
    for catalog in catalogs {
      for collection in catalog.collections.values { all[ObjectIdentifier(collection.rows)] = collection.rows }
    }
    for rows in all.values { rows.removeVersions(after: time) }
    while let last = catalogs.last, last.time > time { catalogs.removeLast() }
  }
}
