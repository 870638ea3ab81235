// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON

/// A query filter, as far as the model supports it: equality, `$eq`, `$ne`, `$in`, `$nin`, `$exists`, `$gt`, `$gte`,
/// `$lt`, `$lte` (numbers, dates and strings), `$and`, `$or`.
public struct Filter: Sendable {
  private indirect enum Condition: Sendable {
    case isIn(Set<DocumentID>)
    case exists
    case not(Condition)
    case compared(OwnedValue, Comparison)
    case all([Condition])
  }

  private enum Comparison: Sendable {
    case greater, greaterOrEqual, less, lessOrEqual
  }

  private enum Part: Sendable {
    case field(path: [String], Condition)
    case all([Filter])
    case any([Filter])
  }

  private var parts: [Part] = []
  /// The `_id`s that a document must have one of, if the filter names them.
  public private(set) var ids: Set<DocumentID>?

  /// Compiles a filter.
  ///
  /// - Parameter document: the filter.
  /// - Throws: a ``CommandError`` if the model does not support an operator.
  public init(_ document: BSONDocument) throws(CommandError) {
    for field in FieldList(document).fields {
      switch field.name {
      case "$and", "$or":
        var filters: [Filter] = []
        for element in field.value.elements { filters.append(try Filter(element.document ?? .empty)) }
        parts.append(field.name == "$and" ? .all(filters) : .any(filters))
      case "$comment": break
      default:
        guard !field.name.hasPrefix("$") else {
          throw CommandError(2, "BadValue", "unknown top level operator: \(field.name)")
        }
        let condition = try Self.condition(field.value)
        if field.name == "_id", case .isIn(let ids) = condition { self.ids = ids }
        parts.append(.field(path: field.name.split(separator: ".").map(String.init), condition))
      }
    }
  }

  private static func condition(_ value: OwnedValue) throws(CommandError) -> Condition {
    guard let object = value.document, let first = FieldList(object).fields.first, first.name.hasPrefix("$") else {
      return .isIn([value.id])
    }
    var conditions: [Condition] = []
    for field in FieldList(object).fields {
      switch field.name {
      case "$eq": conditions.append(.isIn([field.value.id]))
      case "$ne": conditions.append(.not(.isIn([field.value.id])))
      case "$in": conditions.append(.isIn(Set(field.value.elements.map(\.id))))
      case "$nin": conditions.append(.not(.isIn(Set(field.value.elements.map(\.id)))))
      case "$exists": conditions.append(field.value.isTrue ? .exists : .not(.exists))
      case "$gt": conditions.append(.compared(field.value, .greater))
      case "$gte": conditions.append(.compared(field.value, .greaterOrEqual))
      case "$lt": conditions.append(.compared(field.value, .less))
      case "$lte": conditions.append(.compared(field.value, .lessOrEqual))
      default: throw CommandError(2, "BadValue", "unknown operator: \(field.name)")
      }
    }
    return conditions.count == 1 ? conditions[0] : .all(conditions)
  }

  /// Whether a document matches.
  ///
  /// - Parameter document: the document.
  /// - Returns: true if it matches.
  public func matches(_ document: BSONDocument) -> Bool {
    parts.isEmpty || document.withObject { matches($0) }
  }

  private func matches(_ object: BSONObject) -> Bool {
    parts.allSatisfy { part in
      switch part {
      case .field(let path, let condition): Self.holds(condition, object, path[...])
      case .all(let filters): filters.allSatisfy { $0.matches(object) }
      case .any(let filters): filters.contains { $0.matches(object) }
      }
    }
  }

  private static func holds(_ condition: Condition, _ object: BSONObject, _ path: ArraySlice<String>) -> Bool {
    switch condition {
    case .not(let inner): return !holds(inner, object, path)
    case .all(let conditions): return conditions.allSatisfy { holds($0, object, path) }
    case .isIn, .exists, .compared: break
    }
    guard let name = path.first, let value = object.value(name) else {
      // A missing field equals null.
      if case .isIn(let ids) = condition { return ids.contains(OwnedValue(type: .null, bytes: []).id) }
      return false
    }
    guard path.count == 1 else {
      guard let inner = BSONObject(elementsOf: value) else { return false }
      let rest = path.dropFirst()
      if value.type == .array, rest.first.flatMap({ Int($0) }) == nil {
        return any(inner) { BSONObject(elementsOf: $0).map { holds(condition, $0, rest) } ?? false }
      }
      return holds(condition, inner, rest)
    }
    if holds(condition, value) { return true }
    guard value.type == .array, let inner = BSONObject(elementsOf: value) else { return false }
    return any(inner) { holds(condition, $0) }
  }

  private static func any(_ object: BSONObject, _ body: (BSONValue) -> Bool) -> Bool {
    var isFound = false
    object.forEach { _, value in
      isFound = body(value)
      return !isFound
    }
    return isFound
  }

  private static func holds(_ condition: Condition, _ value: BSONValue) -> Bool {
    switch condition {
    case .isIn(let ids): ids.contains(DocumentID(value: value))
    case .exists: true
    case .compared(let bound, let comparison): compare(value, bound, comparison)
    case .not, .all: false
    }
  }

  private static func compare(_ value: BSONValue, _ bound: OwnedValue, _ comparison: Comparison) -> Bool {
    let order: Int
    if let left = number(value), let right = bound.withValue(number) {
      order = left < right ? -1 : (left > right ? 1 : 0)
    } else if let left = value.stringBytes, let right = bound.text {
      order = left.elementsEqual(right.utf8) ? 0 : (left.lexicographicallyPrecedes(right.utf8) ? -1 : 1)
    } else {
      return false
    }
    return switch comparison {
    case .greater: order > 0
    case .greaterOrEqual: order >= 0
    case .less: order < 0
    case .lessOrEqual: order <= 0
    }
  }

  private static func number(_ value: BSONValue) -> Double? {
    value.double ?? value.int64.map(Double.init) ?? value.int32.map(Double.init)
      ?? value.timestamp.map { Double($0.seconds) * 4_294_967_296 + Double($0.increment) }
  }
}
