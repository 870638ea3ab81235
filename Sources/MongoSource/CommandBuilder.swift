// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// Builds a command field by field. It owns libbson's pointer. Only one thread may use it.
final class CommandBuilder {
  private let pointer: OpaquePointer

  init() {
    guard let pointer = bson_new() else { preconditionFailure("libbson ends the process where there is no memory") }
    self.pointer = pointer
  }

  deinit {
    bson_destroy(pointer)
  }

  var document: BSONDocument { BSONDocument(uncheckedBytes: BSONDocument.copyBytes(of: pointer)) }

  func append(_ name: String, _ text: String) { bson_append_utf8(pointer, name, -1, text, Int32(text.utf8.count)) }
  func append(_ name: String, _ number: Int64) { bson_append_int64(pointer, name, -1, number) }
  func append(_ name: String, _ flag: Bool) { bson_append_bool(pointer, name, -1, flag) }
  func append(_ name: String, _ revision: Revision) {
    bson_append_timestamp(pointer, name, -1, revision.seconds, revision.increment)
  }
  func append(_ name: String, _ document: BSONDocument) {
    document.withBSONPointer { _ = bson_append_document(pointer, name, -1, $0) }
  }

  func append(_ name: String, numbers: [Int64]) {
    guard let elements = bson_new() else { return }
    defer { bson_destroy(elements) }
    for (index, number) in numbers.enumerated() { bson_append_int64(elements, "\(index)", -1, number) }
    bson_append_array(pointer, name, -1, elements)
  }

  /// Appends an array of documents.
  func append(_ name: String, _ array: [BSONDocument]) {
    let elements = CommandBuilder()
    for (index, element) in array.enumerated() { elements.append("\(index)", element) }
    bson_append_array(pointer, name, -1, elements.pointer)
  }
}
