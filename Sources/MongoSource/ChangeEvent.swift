internal import BSON
internal import ChangeStreamCache
internal import Core

extension DocumentChange {
  /// Reads an event of a change stream. What is not understood becomes an unknown operation, never an error.
  ///
  /// https://www.mongodb.com/docs/manual/reference/change-events/
  init(event: BSONDocument) {
    self = event.withObject { event in
      let name = event.value("operationType")?.stringBytes.map { String(decoding: $0, as: UTF8.self) } ?? "missing"
      let time = event.value("clusterTime")?.timestamp
      let revision = time.map { Revision(seconds: $0.seconds, increment: $0.increment) } ?? .none
      let wallTime = event.value("wallTime")?.int64.map(WallTime.init(milliseconds:))
      let id = event.value("documentKey").flatMap { BSONObject(elementsOf: $0) }?.value("_id").map(
        DocumentID.init(value:))
      return DocumentChange(
        Self.operation(name, document(event.value("fullDocument")), hasID: id != nil), id: id, revision: revision,
        committedAt: wallTime)
    }
  }

  private static func operation(_ name: String, _ document: BSONDocument?, hasID: Bool) -> Operation {
    switch (name, document, hasID) {
    case ("insert", let document?, true): .insert(document)
    case ("replace", let document?, true): .replace(document)
    case ("update", _, true): .update(lookedUp: document)
    case ("delete", _, true): .delete
    case ("drop", _, _), ("rename", _, _), ("dropDatabase", _, _), ("invalidate", _, _): .invalidate(name)
    default: .unknown(name)
    }
  }
}

private func document(_ value: BSONValue?) -> BSONDocument? {
  guard let value, value.type == .object else { return nil }
  return BSONDocument(bytes: Array(value.bytes))
}
