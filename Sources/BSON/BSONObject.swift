internal import CBSON

/// The fields of a document or of an object inside it, lent: it must not outlive the closure that gave it.
///
/// Reads by libbson's iterator, field by field, without a dictionary between. The readers of one field (``string(_:)``
/// and the others in `BSONObject+Fields.swift`) throw a ``DocumentProblem`` that names the whole path.
public struct BSONObject {
  let bytes: UnsafeRawBufferPointer
  /// Where this object stands in its document: `""`, `"llm."`, `"mcp_sources.0."`.
  let path: String

  init(bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  /// The elements of an array value as fields `0`, `1`, ...; nil if the value is no array or object.
  public init?(elementsOf value: BSONValue) {
    guard value.type == .array || value.type == .object else { return nil }
    self.init(bytes: value.bytes, path: "")
  }

  /// The value of a field, null too; nil where there is no such field.
  public func value(_ name: String) -> BSONValue? {
    guard let data = bytes.bindMemory(to: UInt8.self).baseAddress else { return nil }
    var name = name
    return name.withUTF8 { name in
      var type: UInt8 = 0
      var start: UnsafePointer<UInt8>?
      var length: UInt32 = 0
      guard cbson_find(data, bytes.count, name.baseAddress, name.count, &type, &start, &length),
        let type = BSONType(rawValue: type)
      else { return nil }
      return BSONValue(type: type, bytes: UnsafeRawBufferPointer(start: start, count: Int(length)))
    }
  }

  /// Calls `body` with the name and value of each field in order, until it answers false.
  ///
  /// Stops at the first element that is malformed, as libbson does.
  public func forEach(_ body: (UnsafeBufferPointer<UInt8>, BSONValue) -> Bool) {
    withUnsafeTemporaryAllocation(byteCount: Int(cbson_iter_room), alignment: 16) { memory in
      guard let data = bytes.bindMemory(to: UInt8.self).baseAddress, let iterator = cbson_iter_at(memory.baseAddress),
        bson_iter_init_from_data(iterator, data, bytes.count)
      else { return }
      while bson_iter_next(iterator) {
        var length: UInt32 = 0
        guard let name = bson_iter_key(iterator), let start = cbson_iter_value(iterator, &length),
          let type = BSONType(rawValue: UInt8(truncatingIfNeeded: bson_iter_type(iterator).rawValue))
        else { return }
        let value = BSONValue(type: type, bytes: UnsafeRawBufferPointer(start: start, count: Int(length)))
        let field = UnsafeBufferPointer(
          start: UnsafeRawPointer(name).assumingMemoryBound(to: UInt8.self), count: Int(bson_iter_key_len(iterator)))
        guard body(field, value) else { return }
      }
    }
  }
}
