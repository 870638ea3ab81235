// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON
internal import ConfigLookupCore

/// Selects the documents of a collection that count, by top-level fields that must equal one of several values.
///
/// One definition serves both sides: MongoDB receives it as a query, and the cache evaluates it on changed documents.
/// Equality is MongoDB's: a field that is an array matches if the array or one of its elements equals the value, a
/// missing field matches only null, and numbers are compared across their types.
/// https://www.mongodb.com/docs/manual/reference/operator/query/eq/
public struct DocumentFilter: Sendable {
  /// A value that a field is compared with.
  public enum Value: Sendable, Hashable {
    case string(String)
    case bool(Bool)
    case integer(Int64)
  }

  private struct Condition: Sendable {
    let field: String
    let values: [Value]
  }

  private var conditions: [Condition]

  /// The filter that matches every document.
  public static let all = DocumentFilter(conditions: [])

  /// Returns a filter on one field.
  ///
  /// - Parameters:
  ///   - field: the name of a top-level field, without dots.
  ///   - values: at least one value. A document matches if its field equals one of them.
  /// - Returns: the filter.
  public static func field(_ field: String, isOneOf values: [Value]) -> DocumentFilter {
    precondition(!field.isEmpty && !field.contains(".") && !values.isEmpty, "a top-level field and at least one value")
    return DocumentFilter(conditions: [Condition(field: field, values: values)])
  }

  /// Returns a filter that matches the documents that both filters match.
  ///
  /// - Parameter other: the other filter.
  /// - Returns: the combined filter.
  public func and(_ other: DocumentFilter) -> DocumentFilter {
    DocumentFilter(conditions: conditions + other.conditions)
  }

  /// The top-level fields that the filter depends on.
  public var fields: Set<String> { Set(conditions.map(\.field)) }

  /// Returns whether MongoDB would find the document by ``query``.
  ///
  /// - Parameter document: the document as stored.
  /// - Returns: true if the document matches.
  public func matches(_ document: BSONObject) -> Bool {
    conditions.allSatisfy { condition in
      guard let value = document.value(condition.field) else { return false }
      if value.type == .array {
        var found = false
        BSONObject(elementsOf: value)?.forEach { _, element in
          found = condition.values.contains { equal(element, $0) }
          return !found
        }
        return found
      }
      return condition.values.contains { equal(value, $0) }
    }
  }

  /// The filter as a MongoDB query, e.g. `{"status": {"$in": ["active", "staged"]}}`.
  public var query: BSONDocument {
    let fields = conditions.map { condition in
      let values = condition.values.map { value in
        switch value {
        case .string(let text): quoted(text)
        case .bool(let bool): bool ? "true" : "false"
        case .integer(let number): "{\"$numberLong\": \"\(number)\"}"
        }
      }
      let match = values.count == 1 ? values[0] : "{\"$in\": [\(values.joined(separator: ", "))]}"
      return conditions.count == 1
        ? "\(quoted(condition.field)): \(match)" : "{\(quoted(condition.field)): \(match)}"
    }
    let json = fields.count > 1 ? "{\"$and\": [\(fields.joined(separator: ", "))]}" : "{\(fields.joined())}"
    guard let document = try? BSONDocument(json: json) else {
      preconditionFailure("a filter is always valid JSON")
    }
    return document
  }

  private func equal(_ value: BSONValue, _ wanted: Value) -> Bool {
    switch wanted {
    case .string(let text): value.stringBytes.map { $0.elementsEqual(text.utf8) } ?? false
    case .bool(let bool): value.bool == bool
    case .integer(let number):
      switch value.type {
      case .int32: value.int32.map(Int64.init) == number
      case .int64: value.int64 == number
      case .double: value.double.flatMap(Int64.init(exactly:)) == number
      default: false
      }
    }
  }
}
