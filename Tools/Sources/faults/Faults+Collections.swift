// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import TestSupport

extension Fault {
  /// Faults of whole collections. Writers pause during the change, and continue immediately after it.
  static let collections = [
    Fault(name: "collection-dropped", what: "a collection is dropped; writers fill it again at once") {
      bench, number in
      let collection = try bench.collection(number)
      try bench.replaceAll(of: collection, by: { _ in [:] }) {
        try bench.write("{\"drop\": \"\(collection.name)\"}")
      }
    },
    Fault(name: "collection-renamed-away", what: "a collection is renamed away; writers make it again at once") {
      bench, number in
      let collection = try bench.collection(number)
      try bench.replaceAll(of: collection, by: { _ in [:] }) {
        try bench.rename(collection.name, to: "away\(number)")
      }
    },
    Fault(
      name: "collection-replaced", what: "another collection is renamed onto it, in one step (dropTarget)",
      isShort: true
    ) { bench, number in
      let collection = try bench.collection(number)
      try bench.replaceAll(of: collection, by: { $0.successors(in: collection) }) {
        try bench.rename("fresh", to: collection.name)
      }
    },
  ]
}

extension Bench {
  /// Each collection in turn. The insert ensures that it exists, because writers may have deleted all its documents.
  fileprivate func collection(_ number: Int) throws -> Collection {
    let collection = Collection.allCases[number % Collection.allCases.count]
    _ = try write("{\"insert\": \"\(collection.name)\", \"documents\": [{\"note\": \"outside of every filter\"}]}")
    return collection
  }

  fileprivate func rename(_ source: String, to target: String) throws -> Revision {
    try write(
      "{\"renameCollection\": \"\(Self.databaseName).\(source)\", \"to\": \"\(Self.databaseName).\(target)\", "
        + "\"dropTarget\": true}", admin: true)
  }

  /// Replaces all documents of the collection at once by `body`. The replacements are inserted into a collection with
  /// the name `fresh` before.
  fileprivate func replaceAll(
    of collection: Collection, by successors: (Writer) -> [DocumentName: StoredDocument], _ body: () throws -> Revision
  ) throws {
    try gate.close()
    defer { gate.open() }
    var changes: [(writer: Writer, name: DocumentName, before: StoredDocument?, after: StoredDocument?)] = []
    for writer in writers {
      let (before, after) = (writer.documents(in: collection), successors(writer))
      for name in Set(before.keys).union(after.keys) { changes.append((writer, name, before[name], after[name])) }
    }
    for change in changes {
      guard let after = change.after else { continue }
      _ = try write("{\"insert\": \"fresh\", \"documents\": [\(after.json(change.name))]}")
    }
    let attempts = changes.map { judge.attempt($0.name, from: $0.before, to: $0.after) }
    let revision = try body()
    for change in changes { change.writer.record(change.name, change.after) }
    judge.acknowledge(attempts, at: revision)
  }
}
