// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// The effect of an update on one document.
struct UpdatedDocument {
  var document: BSONDocument
  /// The field `updateDescription`; nil if the update replaced the document.
  var delta: BSONDocument?

  /// Applies a replacement, or the operators `$set`, `$unset`, `$inc`, `$push` and `$setOnInsert`.
  ///
  /// - Parameters:
  ///   - update: the replacement or the operators.
  ///   - old: the document; nil for an upsert that inserts.
  ///   - seed: the fields with which an inserted document begins.
  init(_ update: BSONDocument, to old: BSONDocument?, seed: FieldList) throws(CommandError) {
    let operators = FieldList(update).fields
    guard let first = operators.first, first.name.hasPrefix("$") else {
      var fields = FieldList(update)
      if let id = old?.field("_id") ?? fields["_id"] ?? seed["_id"] {
        // A replacement may not change the `_id`.
        if let own = fields["_id"], own.id != id.id {
          throw CommandError(66, "ImmutableField", "the (immutable) field '_id' was found to have been altered")
        }
        fields.prepend("_id", id)
      }
      document = fields.document
      delta = nil
      return
    }
    var fields = old.map { FieldList($0) } ?? seed
    var changed = BSONBuilder()
    var removed: [String] = []
    for operation in operators {
      for field in operation.value.document.map({ FieldList($0).fields }) ?? [] {
        switch operation.name {
        case "$set", "$setOnInsert":
          guard operation.name == "$set" || old == nil, fields.value(at: field.name) != field.value else { continue }
          fields.set(field.name, field.value)
          changed.append(field.name, field.value)
        case "$unset":
          guard fields.value(at: field.name) != nil else { continue }
          fields.set(field.name, nil)
          removed.append(field.name)
        case "$inc":
          let sum = (fields.value(at: field.name)?.integer ?? 0) + (field.value.integer ?? 0)
          let value =
            Int32(exactly: sum).map { OwnedValue(type: .int32, bytes: littleEndian($0)) }
            ?? OwnedValue(type: .int64, bytes: littleEndian(sum))
          fields.set(field.name, value)
          changed.append(field.name, value)
        case "$push":
          let elements = fields.value(at: field.name)?.elements ?? []
          fields.set(field.name, OwnedValue(array: elements + [field.value]))
          if elements.isEmpty {
            changed.append(field.name, OwnedValue(array: [field.value]))
          } else {
            // A changed part of an array is one key with a dot in it.
            changed.append("\(field.name).\(elements.count)", field.value)
          }
        default: throw CommandError(9, "FailedToParse", "Unknown modifier: \(operation.name)")
        }
      }
    }
    document = fields.document
    delta = BSONDocument {
      $0.append("updatedFields", changed.document)
      $0.append("removedFields", array: removed)
      $0.append("truncatedArrays", array: [BSONDocument]())
    }
  }
}
