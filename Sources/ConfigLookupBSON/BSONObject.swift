// SPDX-License-Identifier: Apache-2.0
internal import CBSON

/// The fields of a document, or of an object in it. The object does not own its bytes: it must not outlive the closure
/// that received it.
///
/// It reads field by field with libbson's iterator, without an intermediate dictionary. The functions that read one
/// field (``string(_:)`` and the others in `BSONObject+Fields.swift`) throw a ``DocumentProblem`` with the whole path
/// of the field.
public struct BSONObject {
  let bytes: UnsafeRawBufferPointer
  /// The path of this object in its document: `""`, `"llm."`, `"mcp_sources.0."`.
  let path: String

  init(bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  /// Creates an object of the elements of an array, as fields `0`, `1`, and so on, or of an object value. The result is
  /// nil if the value is neither.
  ///
  /// - Parameter value: the value, which must outlive the object.
  public init?(elementsOf value: BSONValue) {
    guard value.type == .array || value.type == .object else { return nil }
    self.init(bytes: value.bytes, path: "")
  }

  /// Returns the value of a field.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the value, which may be null; nil if there is no such field.
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

  /// Calls a closure with the name and value of each field, in order.
  ///
  /// The iteration ends at the first malformed element, as in libbson.
  ///
  /// - Parameter body: the closure. It returns false to stop. The name and the value must not outlive the call.
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
