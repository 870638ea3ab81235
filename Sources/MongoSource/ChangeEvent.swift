// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

extension DocumentChange {
  /// Decodes an event of a change stream. An event that cannot be interpreted becomes an unknown operation, never an
  /// error. `isExact` states whether the `fullDocument` of an update is its post-image.
  ///
  /// https://www.mongodb.com/docs/manual/reference/change-events/
  init(event: BSONDocument, isExact: Bool) {
    self = event.withObject { event in
      let common = CommonFields(event)
      return DocumentChange(
        Self.operation(
          common.name, document(event.value("fullDocument")), hasID: common.id != nil, isExact: isExact), id: common.id,
        revision: common.revision, committedAt: common.committedAt, touchedFields: updatedFields(event),
        isInTransaction: event.value("txnNumber") != nil, shardedKey: common.shardedKey)
    }
  }

  private static func operation(
    _ name: String, _ document: BSONDocument?, hasID: Bool, isExact: Bool
  ) -> Operation {
    switch (name, document, hasID) {
    case ("insert", let document?, true): .insert(document)
    case ("replace", let document?, true): .replace(document)
    case ("update", let document?, true) where isExact: .update(document)
    case ("update", _, true): .updateLookedUp(document)
    case ("delete", _, true): .delete
    case ("drop", _, _), ("rename", _, _), ("dropDatabase", _, _), ("invalidate", _, _): .invalidate(name)
    default: .unknown(name)
    }
  }
}

extension PastChange {
  /// Decodes an event of earlier history, whose document was not looked up.
  init(event: BSONObject) {
    let common = CommonFields(event)
    let operation: Operation =
      switch (common.name, document(event.value("fullDocument")), common.id) {
      case ("insert", let document?, .some): .insert(document)
      case ("replace", let document?, .some): .replace(document)
      case ("update", _, .some):
        updatedFields(event).map { .update(fields: $0) } ?? .other(common.name)
      case ("delete", _, .some): .delete
      default: .other(common.name)
      }
    self.init(operation, id: common.id, revision: common.revision, committedAt: common.committedAt)
  }
}

/// The top-level fields of all paths in `updateDescription`; nil if it cannot be interpreted.
private func updatedFields(_ event: BSONObject) -> Set<String>? {
  guard let description = event.value("updateDescription").flatMap({ BSONObject(elementsOf: $0) }) else { return nil }
  var fields: Set<String> = []
  func add(_ path: some Sequence<UInt8>) {
    fields.insert(String(decoding: path.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self))
  }
  description.value("updatedFields").flatMap { BSONObject(elementsOf: $0) }?.forEach { path, _ in
    add(path)
    return true
  }
  description.value("removedFields").flatMap { BSONObject(elementsOf: $0) }?.forEach { _, path in
    if let path = path.stringBytes { add(path) }
    return true
  }
  description.value("truncatedArrays").flatMap { BSONObject(elementsOf: $0) }?.forEach { _, array in
    if let path = BSONObject(elementsOf: array)?.value("field")?.stringBytes { add(path) }
    return true
  }
  return fields
}

/// The fields that all events have.
private struct CommonFields {
  let name: String
  let id: DocumentID?
  let revision: Revision
  let committedAt: WallTime?
  /// The `documentKey`, if it has other fields than the `_id`.
  let shardedKey: BSONDocument?

  init(_ event: BSONObject) {
    name = event.value("operationType")?.stringBytes.map { String(decoding: $0, as: UTF8.self) } ?? "missing"
    let time = event.value("clusterTime")?.timestamp
    revision = time.map { Revision(seconds: $0.seconds, increment: $0.increment) } ?? .none
    committedAt = event.value("wallTime")?.int64.map(WallTime.init(milliseconds:))
    let key = event.value("documentKey")
    let fields = key.flatMap { BSONObject(elementsOf: $0) }
    id = fields?.value("_id").map(DocumentID.init(value:))
    var count = 0
    fields?.forEach { _, _ in
      count += 1
      return count < 2
    }
    shardedKey = count > 1 ? document(key) : nil
  }
}

private func document(_ value: BSONValue?) -> BSONDocument? {
  guard let value, value.type == .object else { return nil }
  return BSONDocument(bytes: Array(value.bytes))
}
