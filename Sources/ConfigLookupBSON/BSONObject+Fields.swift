// SPDX-License-Identifier: Apache-2.0
internal import CBSON
internal import ConfigLookupCore

/// Functions that read one field. A field that is missing or null is absent.
extension BSONObject {
  /// The maximum nesting depth of free-form parts. The server does not store deeper ones.
  public static let maximumDepth = ExtendedJSON.maximumDepth

  // MARK: Strings

  /// Reads a string.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the string.
  /// - Throws: a ``DocumentProblem`` if the field is absent or is not a valid UTF-8 string.
  public func string(_ name: String) throws(DocumentProblem) -> String {
    guard let value = try optionalString(name) else { throw problem(name, "is missing") }
    return value
  }

  /// Reads a string that is not empty.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the string.
  /// - Throws: a ``DocumentProblem`` if the field is absent or is not a valid UTF-8 string, or is empty.
  public func nonEmptyString(_ name: String) throws(DocumentProblem) -> String {
    let value = try string(name)
    if value.isEmpty { throw problem(name, "is empty") }
    return value
  }

  /// Reads an optional string.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the string; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not a valid UTF-8 string.
  public func optionalString(_ name: String) throws(DocumentProblem) -> String? {
    guard let value = present(name) else { return nil }
    return try text(value, name)
  }

  /// Reads a string that is one of several words.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - choices: the valid words.
  ///   - fallback: the default for an absent field; nil if the field is required.
  /// - Returns: the word.
  /// - Throws: a ``DocumentProblem`` if the field is none of the words, or if it is required and absent.
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

  /// Reads an array of strings. Elements that are null are omitted.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the strings.
  /// - Throws: a ``DocumentProblem`` if the field is absent or is not an array of strings.
  public func strings(_ name: String) throws(DocumentProblem) -> [String] {
    guard let values = try optionalStrings(name) else { throw problem(name, "is missing") }
    return values
  }

  /// Reads an optional array of strings. Elements that are null are omitted.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the strings; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not an array of strings.
  public func optionalStrings(_ name: String) throws(DocumentProblem) -> [String]? {
    try optionalArray(name) { value, field throws(DocumentProblem) in try text(value, field) }
  }

  /// Reads an optional object whose values are all strings. Fields that are null are omitted.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the entries in order of key; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not an object of strings.
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

  /// Reads an integer from an int32, an int64, or a double without a fraction.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - range: the range of valid values.
  ///   - fallback: the default for an absent field; nil if the field is required.
  /// - Returns: the integer.
  /// - Throws: a ``DocumentProblem`` if the field is not an integer in the range, or if it is required and absent.
  public func integer(_ name: String, in range: ClosedRange<Int64>, default fallback: Int64? = nil)
    throws(DocumentProblem) -> Int64
  {
    guard let value = try optionalInteger(name, in: range) else {
      guard let fallback else { throw problem(name, "is missing") }
      return fallback
    }
    return value
  }

  /// Reads an optional integer from an int32, an int64, or a double without a fraction.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - range: the range of valid values.
  /// - Returns: the integer; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not an integer in the range.
  public func optionalInteger(_ name: String, in range: ClosedRange<Int64>) throws(DocumentProblem) -> Int64? {
    guard let value = present(name) else { return nil }
    return try integer(value, name, in: range)
  }

  /// Reads an optional array of integers. Elements that are null are omitted.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - range: the range of valid elements.
  /// - Returns: the integers; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not an array of integers in the range.
  public func optionalIntegers(_ name: String, in range: ClosedRange<Int64>) throws(DocumentProblem) -> [Int64]? {
    try optionalArray(name) { value, field throws(DocumentProblem) in try integer(value, field, in: range) }
  }

  /// Reads a number from a double, an int32 or an int64.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - range: the range of valid values.
  ///   - fallback: the default for an absent field; nil if the field is required.
  /// - Returns: the number.
  /// - Throws: a ``DocumentProblem`` if the field is not a number in the range, or if it is required and absent.
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

  /// Reads a Boolean.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - fallback: the default for an absent field; nil if the field is required.
  /// - Returns: the Boolean.
  /// - Throws: a ``DocumentProblem`` if the field is not a Boolean, or if it is required and absent.
  public func bool(_ name: String, default fallback: Bool? = nil) throws(DocumentProblem) -> Bool {
    guard let value = present(name) else {
      guard let fallback else { throw problem(name, "is missing") }
      return fallback
    }
    guard let bool = value.bool else { throw problem(name, "is \(value.type.name), not a bool") }
    return bool
  }

  /// Reads a date from a BSON date or an ISO 8601 string.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the date in milliseconds since 1970-01-01T00:00:00Z.
  /// - Throws: a ``DocumentProblem`` if the field is absent or is not a date.
  public func date(_ name: String) throws(DocumentProblem) -> Int64 {
    guard let milliseconds = try optionalDate(name) else { throw problem(name, "is missing") }
    return milliseconds
  }

  /// Reads an optional date from a BSON date or an ISO 8601 string.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the date in milliseconds since 1970-01-01T00:00:00Z; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not a date.
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

  /// Reads an object.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the object, which must not outlive this one.
  /// - Throws: a ``DocumentProblem`` if the field is absent or is not an object.
  public func object(_ name: String) throws(DocumentProblem) -> BSONObject {
    guard let object = try optionalObject(name) else { throw problem(name, "is missing") }
    return object
  }

  /// Reads an optional object.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the object, which must not outlive this one; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not an object.
  public func optionalObject(_ name: String) throws(DocumentProblem) -> BSONObject? {
    guard let value = present(name) else { return nil }
    guard value.type == .object else { throw problem(name, "is \(value.type.name), not an object") }
    return BSONObject(bytes: value.bytes, path: path + name + ".")
  }

  /// Reads an object all of whose fields have defaults.
  ///
  /// - Parameter name: the name of the field.
  /// - Returns: the object, which must not outlive this one; an empty one if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not an object.
  public func objectOrEmpty(_ name: String) throws(DocumentProblem) -> BSONObject {
    try optionalObject(name) ?? BSONObject(bytes: emptyObject, path: path + name + ".")
  }

  /// Reads an optional array of objects. Elements that are null are omitted.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - read: reads one object.
  /// - Returns: the elements; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field is not an array of objects, or if `read` throws it.
  public func optionalObjects<Element>(
    _ name: String, _ read: (BSONObject) throws(DocumentProblem) -> Element
  ) throws(DocumentProblem) -> [Element]? {
    try optionalArray(name) { value, field throws(DocumentProblem) in
      guard value.type == .object else { throw problem(field, "is \(value.type.name), not an object") }
      return try read(BSONObject(bytes: value.bytes, path: path + field + "."))
    }
  }

  /// The JSON types that a free-form field may have.
  public enum FreeForm: Sendable {
    case object, array, either
  }

  /// Reads a whole free-form object or array as relaxed extended JSON.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - form: the valid JSON types.
  /// - Returns: the JSON text.
  /// - Throws: a ``DocumentProblem`` if the field is absent or has another type, is malformed, or is too deep or too
  ///   large.
  public func json(_ name: String, _ form: FreeForm = .either) throws(DocumentProblem) -> String {
    guard let text = try optionalJSON(name, form) else { throw problem(name, "is missing") }
    return text
  }

  /// Reads an optional free-form object or array as relaxed extended JSON.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - form: the valid JSON types.
  /// - Returns: the JSON text; nil if the field is absent.
  /// - Throws: a ``DocumentProblem`` if the field has another type, is malformed, or is too deep or too large.
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

  // MARK: Private

  /// Makes a problem of a field of this object.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - problem: the description of the problem.
  /// - Returns: the problem, with the whole path of the field.
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
    // `String(validating:as:)` is not used, because its generic part costs more than the validation of a short text.
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

  /// Reads the elements of an array, except those that are null.
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
/// It is `nonisolated(unsafe)` because a pointer is not Sendable. This one is made once, and the memory that it points
/// to never changes and is never freed.
private nonisolated(unsafe) let emptyObject: UnsafeRawBufferPointer = {
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: BSONDocument.empty.bytes.count, alignment: 8)
  memory.copyBytes(from: BSONDocument.empty.bytes)
  return UnsafeRawBufferPointer(memory)
}()
