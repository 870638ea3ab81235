internal import CBSON
internal import Core

/// Readers of one field. A missing field and one that is null are the same: absent.
extension BSONObject {
  /// Free-form parts may nest this deep: the server stores none that nest deeper.
  public static let maximumDepth = ExtendedJSON.maximumDepth

  // MARK: Strings

  public func string(_ name: String) throws(DocumentProblem) -> String {
    guard let value = try optionalString(name) else { throw problem(name, "is missing") }
    return value
  }

  public func nonEmptyString(_ name: String) throws(DocumentProblem) -> String {
    let value = try string(name)
    if value.isEmpty { throw problem(name, "is empty") }
    return value
  }

  public func optionalString(_ name: String) throws(DocumentProblem) -> String? {
    guard let value = present(name) else { return nil }
    return try text(value, name)
  }

  /// A string that is one of `choices`.
  public func choice(_ name: String, of choices: [String], default fallback: String? = nil) throws(DocumentProblem)
    -> String
  {
    guard let value = try optionalString(name) else {
      guard let fallback else { throw problem(name, "is missing") }
      return fallback
    }
    guard choices.contains(value) else {
      throw problem(name, "must be one of \(choices.joined(separator: ", "))")
    }
    return value
  }

  public func strings(_ name: String) throws(DocumentProblem) -> [String] {
    guard let values = try optionalStrings(name) else { throw problem(name, "is missing") }
    return values
  }

  public func optionalStrings(_ name: String) throws(DocumentProblem) -> [String]? {
    try optionalArray(name) { value, field throws(DocumentProblem) in try text(value, field) }
  }

  /// An object whose values are all strings, in order of key. A field that is null is none.
  public func optionalStringMap(_ name: String) throws(DocumentProblem) -> [(key: String, value: String)]? {
    guard let object = try optionalObject(name) else { return nil }
    var pairs: [(key: String, value: String)] = []
    var failure: DocumentProblem?
    object.forEach { field, value in
      do throws(DocumentProblem) {
        guard let key = String(validating: field, as: UTF8.self) else {
          throw problem(name, "has a key that is not valid UTF-8")
        }
        guard value.isPresent else { return true }
        pairs.append((key, try text(value, "\(name).\(key)")))
        return true
      } catch {
        failure = error
        return false
      }
    }
    if let failure { throw failure }
    return pairs.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  // MARK: Numbers, bools, dates

  /// A whole number, from an int32, an int64 or a double without a fraction.
  public func integer(_ name: String, in range: ClosedRange<Int64>, default fallback: Int64? = nil)
    throws(DocumentProblem) -> Int64
  {
    guard let value = try optionalInteger(name, in: range) else {
      guard let fallback else { throw problem(name, "is missing") }
      return fallback
    }
    return value
  }

  public func optionalInteger(_ name: String, in range: ClosedRange<Int64>) throws(DocumentProblem) -> Int64? {
    guard let value = present(name) else { return nil }
    return try integer(value, name, in: range)
  }

  public func optionalIntegers(_ name: String, in range: ClosedRange<Int64>) throws(DocumentProblem) -> [Int64]? {
    try optionalArray(name) { value, field throws(DocumentProblem) in try integer(value, field, in: range) }
  }

  public func double(_ name: String, in range: ClosedRange<Double>, default fallback: Double? = nil)
    throws(DocumentProblem) -> Double
  {
    guard let value = present(name) else {
      guard let fallback else { throw problem(name, "is missing") }
      return fallback
    }
    guard let number = value.double ?? value.int32.map(Double.init) ?? int64(value).map(Double.init) else {
      throw problem(name, "is \(value.type.name), not a number")
    }
    if number.isNaN { throw problem(name, "is not a number") }
    if number < range.lowerBound { throw problem(name, "\(number) is below \(range.lowerBound)") }
    if number > range.upperBound { throw problem(name, "\(number) is above \(range.upperBound)") }
    return number
  }

  public func bool(_ name: String, default fallback: Bool? = nil) throws(DocumentProblem) -> Bool {
    guard let value = present(name) else {
      guard let fallback else { throw problem(name, "is missing") }
      return fallback
    }
    guard let bool = value.bool else { throw problem(name, "is \(value.type.name), not a bool") }
    return bool
  }

  /// A BSON date, or an ISO 8601 string: milliseconds since 1970-01-01T00:00:00Z.
  public func date(_ name: String) throws(DocumentProblem) -> Int64 {
    guard let milliseconds = try optionalDate(name) else { throw problem(name, "is missing") }
    return milliseconds
  }

  /// A BSON date, or an ISO 8601 string: milliseconds since 1970-01-01T00:00:00Z; nil where the field is absent.
  public func optionalDate(_ name: String) throws(DocumentProblem) -> Int64? {
    guard let value = present(name) else { return nil }
    if value.type == .date, let milliseconds = value.int64 { return milliseconds }
    guard value.type == .string else { throw problem(name, "is \(value.type.name), not a date") }
    guard let milliseconds = millisecondsOfISO8601(try text(value, name)) else {
      throw problem(name, "is not an ISO 8601 date")
    }
    return milliseconds
  }

  // MARK: Objects and free-form parts

  public func object(_ name: String) throws(DocumentProblem) -> BSONObject {
    guard let object = try optionalObject(name) else { throw problem(name, "is missing") }
    return object
  }

  public func optionalObject(_ name: String) throws(DocumentProblem) -> BSONObject? {
    guard let value = present(name) else { return nil }
    guard value.type == .object else { throw problem(name, "is \(value.type.name), not an object") }
    return BSONObject(bytes: value.bytes, path: path + name + ".")
  }

  /// An object all of whose fields have defaults: where it is absent, an empty one.
  public func objectOrEmpty(_ name: String) throws(DocumentProblem) -> BSONObject {
    try optionalObject(name) ?? BSONObject(bytes: emptyObject, path: path + name + ".")
  }

  /// Each object of an array, read by `read`.
  public func optionalObjects<Element>(
    _ name: String, _ read: (BSONObject) throws(DocumentProblem) -> Element
  ) throws(DocumentProblem) -> [Element]? {
    try optionalArray(name) { value, field throws(DocumentProblem) in
      guard value.type == .object else { throw problem(field, "is \(value.type.name), not an object") }
      return try read(BSONObject(bytes: value.bytes, path: path + field + "."))
    }
  }

  /// What a free-form field may be.
  public enum FreeForm: Sendable {
    case object, array, either
  }

  /// A free-form object or array, whole, as relaxed extended JSON.
  public func json(_ name: String, _ form: FreeForm = .either) throws(DocumentProblem) -> String {
    guard let text = try optionalJSON(name, form) else { throw problem(name, "is missing") }
    return text
  }

  public func optionalJSON(_ name: String, _ form: FreeForm = .either) throws(DocumentProblem) -> String? {
    guard let value = present(name) else { return nil }
    switch (value.type, form) {
    case (.object, .object), (.object, .either), (.array, .array), (.array, .either): break
    case (_, .object): throw problem(name, "is \(value.type.name), not an object")
    case (_, .array): throw problem(name, "is \(value.type.name), not an array")
    case (_, .either): throw problem(name, "is \(value.type.name), not an object or an array")
    }
    do throws(ExtendedJSON.Failure) {
      return try ExtendedJSON.text(of: value, limit: ServedSize.documentBytes)
    } catch {
      switch error {
      case .malformed: throw problem(name, "is malformed, or contains text that is not valid UTF-8")
      case .tooDeep: throw problem(name, "is nested deeper than \(Self.maximumDepth) levels")
      case .tooLarge: throw problem(name, "is larger than \(ServedSize.documentBytes) bytes as JSON")
      }
    }
  }

  // MARK: Beneath

  /// A problem of a field of this object.
  public func problem(_ name: String, _ problem: String) -> DocumentProblem {
    DocumentProblem(field: path + name, problem: problem)
  }

  private func present(_ name: String) -> BSONValue? {
    guard let value = value(name), value.isPresent else { return nil }
    return value
  }

  private func text(_ value: BSONValue, _ field: String) throws(DocumentProblem) -> String {
    guard value.type == .string, let bytes = value.stringBytes else {
      throw problem(field, "is \(value.type.name), not a string")
    }
    // Not `String(validating:as:)`, whose generic part costs more than the check of a short text.
    guard let text = try? UTF8Span(validating: bytes.bindMemory(to: UInt8.self).span) else {
      throw problem(field, "is not valid UTF-8")
    }
    return String(copying: text)
  }

  private func int64(_ value: BSONValue) -> Int64? {
    value.type == .int64 ? value.int64 : nil
  }

  private func integer(_ value: BSONValue, _ field: String, in range: ClosedRange<Int64>) throws(DocumentProblem)
    -> Int64
  {
    let number: Int64
    if let exact = value.int32.map(Int64.init) ?? int64(value) {
      number = exact
    } else if let double = value.double {
      guard let whole = Int64(exactly: double) else { throw problem(field, "\(double) is not a whole number") }
      number = whole
    } else {
      throw problem(field, "is \(value.type.name), not a number")
    }
    if number < range.lowerBound { throw problem(field, "\(number) is below \(range.lowerBound)") }
    if number > range.upperBound { throw problem(field, "\(number) is above \(range.upperBound)") }
    return number
  }

  /// The elements of an array, those left out that are null.
  private func optionalArray<Element>(
    _ name: String, _ read: (BSONValue, String) throws(DocumentProblem) -> Element
  ) throws(DocumentProblem) -> [Element]? {
    guard let value = present(name) else { return nil }
    guard value.type == .array else { throw problem(name, "is \(value.type.name), not an array") }
    var elements: [Element] = []
    var index = 0
    var failure: DocumentProblem?
    BSONObject(bytes: value.bytes, path: path).forEach { _, value in
      defer { index += 1 }
      guard value.isPresent else { return true }
      do throws(DocumentProblem) {
        elements.append(try read(value, "\(name).\(index)"))
        return true
      } catch {
        failure = error
        return false
      }
    }
    if let failure { throw failure }
    return elements
  }
}

/// The bytes of an object without fields.
///
/// `nonisolated(unsafe)` because a pointer is not Sendable: this one is made once, and what it points at never changes
/// and is never freed.
private nonisolated(unsafe) let emptyObject: UnsafeRawBufferPointer = {
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: BSONDocument.empty.bytes.count, alignment: 8)
  memory.copyBytes(from: BSONDocument.empty.bytes)
  return UnsafeRawBufferPointer(memory)
}()
