// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON

/// A value that owns its bytes.
public struct OwnedValue: Sendable, Equatable {
  /// The type of the value.
  public var type: BSONType
  /// The bytes of the value in BSON's encoding, without type and name.
  public var bytes: [UInt8]

  /// Creates a value of its type and its bytes.
  ///
  /// - Parameters:
  ///   - type: the type.
  ///   - bytes: the bytes.
  public init(type: BSONType, bytes: [UInt8]) {
    self.type = type
    self.bytes = bytes
  }

  /// Copies a value.
  ///
  /// - Parameter value: the value.
  public init(_ value: BSONValue) { self.init(type: value.type, bytes: Array(value.bytes)) }

  /// Creates a string.
  ///
  /// - Parameter text: the text.
  public init(_ text: String) {
    self.init(type: .string, bytes: littleEndian(UInt32(text.utf8.count + 1)) + Array(text.utf8) + [0])
  }

  /// Creates an object.
  ///
  /// - Parameter document: the object.
  public init(_ document: BSONDocument) { self.init(type: .object, bytes: document.bytes) }

  /// Creates an array.
  ///
  /// - Parameter values: the elements.
  public init(array values: [OwnedValue]) {
    var builder = BSONBuilder()
    for (index, value) in values.enumerated() { builder.append("\(index)", value) }
    self.init(type: .array, bytes: builder.document.bytes)
  }

  /// Calls a closure with the value, which must not outlive the call.
  ///
  /// - Parameter body: the closure.
  /// - Returns: the closure's result.
  public func withValue<Result>(_ body: (BSONValue) -> Result) -> Result {
    bytes.withUnsafeBytes { body(BSONValue(type: type, bytes: $0)) }
  }

  /// The value as an `_id`, which is equal for all values that MongoDB treats as equal.
  public var id: DocumentID { withValue(DocumentID.init(value:)) }
  /// The value of a string; nil for other types.
  public var text: String? { withValue { $0.stringBytes.map { String(decoding: $0, as: UTF8.self) } } }
  /// The value of an int32, an int64, a date, or a double without a fraction; nil for other types.
  public var integer: Int64? {
    withValue { $0.int64 ?? $0.int32.map(Int64.init) ?? $0.double.flatMap(Int64.init(exactly:)) }
  }
  /// Whether the value is true, or a number that is not 0.
  public var isTrue: Bool { withValue { $0.bool } ?? (withValue { $0.double }.map { $0 != 0 } ?? (integer ?? 0 != 0)) }
  /// The object; nil for other types.
  public var document: BSONDocument? { type == .object ? BSONDocument(bytes: bytes) : nil }
  /// The elements of an array; empty for other types.
  public var elements: [OwnedValue] {
    type == .array ? FieldList(BSONDocument(uncheckedBytes: bytes)).fields.map(\.value) : []
  }
}

/// The fields of a document in order, for changing them.
public struct FieldList: Sendable, Equatable {
  /// One field.
  public struct Field: Sendable, Equatable {
    /// The name.
    public var name: String
    /// The value.
    public var value: OwnedValue
  }

  /// The fields.
  public private(set) var fields: [Field] = []

  /// Reads the fields of a document.
  ///
  /// - Parameter document: the document.
  public init(_ document: BSONDocument = .empty) {
    document.bytes.withUnsafeBufferPointer { bytes in
      var scanner = ElementScanner(bytes)
      while scanner.next() { fields.append(Field(name: scanner.nameText, value: scanner.owned)) }
    }
  }

  /// The document of the fields.
  public var document: BSONDocument {
    var builder = BSONBuilder()
    for field in fields { builder.append(field.name, field.value) }
    return builder.document
  }

  /// The value of a field of this name; nil if there is none. Setting it replaces, appends or removes the field.
  ///
  /// - Parameter name: the name.
  public subscript(name: String) -> OwnedValue? {
    get { fields.first { $0.name == name }?.value }
    set {
      let index = fields.firstIndex { $0.name == name }
      switch (index, newValue) {
      case (let index?, let value?): fields[index].value = value
      case (nil, let value?): fields.append(Field(name: name, value: value))
      case (let index?, nil): fields.remove(at: index)
      case (nil, nil): break
      }
    }
  }

  /// Puts a field before all others.
  ///
  /// - Parameters:
  ///   - name: the name.
  ///   - value: the value.
  public mutating func prepend(_ name: String, _ value: OwnedValue) {
    self[name] = nil
    fields.insert(Field(name: name, value: value), at: 0)
  }

  /// Returns the value at a path of names and array indices, e.g. `a.0.b`.
  ///
  /// - Parameter path: the path.
  /// - Returns: the value; nil if there is none.
  public func value(at path: String) -> OwnedValue? {
    guard let dot = path.firstIndex(of: ".") else { return self[path] }
    guard let value = self[String(path[..<dot])], value.type == .object || value.type == .array else { return nil }
    return FieldList(BSONDocument(uncheckedBytes: value.bytes)).value(at: String(path[path.index(after: dot)...]))
  }

  /// Sets or removes the value at a path. Missing objects on the way to a new value are created. An element that is
  /// removed from an array becomes null.
  ///
  /// - Parameters:
  ///   - path: the path.
  ///   - value: the new value; nil to remove the field.
  public mutating func set(_ path: String, _ value: OwnedValue?) {
    guard let dot = path.firstIndex(of: ".") else { return self[path] = value }
    let (name, rest) = (String(path[..<dot]), String(path[path.index(after: dot)...]))
    let old = self[name]
    guard value != nil || old != nil else { return }
    let isArray = old?.type == .array
    let isObject = old?.type == .object
    var inner = FieldList(old.flatMap { isArray || isObject ? BSONDocument(bytes: $0.bytes) : nil } ?? .empty)
    if isArray, value == nil, !rest.contains(".") {
      if inner[rest] != nil { inner[rest] = OwnedValue(type: .null, bytes: []) }
    } else {
      inner.set(rest, value)
    }
    self[name] = OwnedValue(type: isArray ? .array : .object, bytes: inner.document.bytes)
  }
}

extension BSONDocument {
  /// Returns a copy of a top-level value.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the value; nil if there is none.
  public func field(_ name: String) -> OwnedValue? {
    var name = name
    return name.withUTF8 { name in
      bytes.withUnsafeBufferPointer { bytes in
        var scanner = ElementScanner(bytes)
        while scanner.next() {
          if scanner.hasName(name) { return scanner.owned }
        }
        return nil
      }
    }
  }
}
