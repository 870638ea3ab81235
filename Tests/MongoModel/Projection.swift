// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// A projection: fields that are included or excluded by path, and computed fields of three forms: `"$path"`, an object
/// `{$literal: value}`, and the names of an object's fields, `{$map: {input: {$objectToArray: "$path"}, in:
/// "$$this.k"}}`.
struct Projection: Sendable {
  /// The paths of a projection as a tree. A node without children stands for a whole value.
  private final class Node: Sendable {
    let children: [String: Node]

    init(_ paths: [ArraySlice<String>]) {
      var groups: [String: [ArraySlice<String>]] = [:]
      for path in paths {
        guard let name = path.first else { continue }
        groups[name, default: []].append(path.dropFirst())
      }
      children = groups.mapValues { paths in Node(paths.contains { $0.isEmpty } ? [] : paths) }
    }
  }

  private enum Computed: Sendable {
    case path(String)
    case names(of: String)
    case value(OwnedValue)
  }

  private var included: Node?
  private var excluded: Node?
  private var computed: [(path: String, Computed)] = []
  private var hasID = true

  init?(_ document: BSONDocument) {
    var paths: (included: [ArraySlice<String>], excluded: [ArraySlice<String>]) = ([], [])
    func add(_ path: String, _ value: OwnedValue) -> Bool {
      if let inner = value.document {
        if let names = Self.computed(inner) {
          computed.append((path, names))
          return true
        }
        return FieldList(inner).fields.allSatisfy { !$0.name.hasPrefix("$") && add("\(path).\($0.name)", $0.value) }
      }
      if let text = value.text {
        computed.append((path, text.hasPrefix("$") ? .path(String(text.dropFirst())) : .value(value)))
        return true
      }
      let parts = path.split(separator: ".").map(String.init)[...]
      if path == "_id" {
        hasID = value.isTrue
      } else if value.isTrue {
        paths.included.append(parts)
      } else {
        paths.excluded.append(parts)
      }
      return true
    }
    for field in FieldList(document).fields where !add(field.name, field.value) { return nil }
    if paths.excluded.isEmpty, !paths.included.isEmpty || !computed.isEmpty || hasID {
      included = Node(paths.included + (hasID ? [["_id"]] : []))
    } else {
      excluded = Node(paths.excluded + (hasID ? [] : [["_id"]]))
    }
  }

  /// Keeps all fields, and adds or replaces some: `$addFields`, with the same three forms or values of other types.
  init(adding document: BSONDocument) {
    for field in FieldList(document).fields {
      if let names = field.value.document.flatMap(Self.computed) {
        computed.append((field.name, names))
      } else if let text = field.value.text, text.hasPrefix("$") {
        computed.append((field.name, .path(String(text.dropFirst()))))
      } else {
        computed.append((field.name, .value(field.value)))
      }
    }
    excluded = Node([])
  }

  private static func computed(_ object: BSONDocument) -> Computed? {
    if let value = object.field("$literal") { return .value(value) }
    guard let map = object.field("$map")?.document, map.field("in")?.text == "$$this.k",
      let path = map.field("input")?.document?.field("$objectToArray")?.text, path.hasPrefix("$")
    else { return nil }
    return .names(of: String(path.dropFirst()))
  }

  func project(_ document: BSONDocument) -> BSONDocument {
    var builder = BSONBuilder()
    document.withObject { object in
      if let included {
        Self.include(object, included, &builder)
      } else if let excluded {
        Self.exclude(object, excluded, &builder)
      }
    }
    guard !computed.isEmpty else { return builder.document }
    let source = FieldList(document)
    var result = FieldList(builder.document)
    for (path, value) in computed {
      switch value {
      case .path(let from): source.value(at: from).map { result.set(path, $0) }
      case .value(let value): result.set(path, value)
      case .names(let from):
        let names = source.value(at: from)?.document.map { FieldList($0).fields.map { OwnedValue($0.name) } }
        result.set(path, names.map(OwnedValue.init(array:)) ?? OwnedValue(type: .null, bytes: []))
      }
    }
    return result.document
  }

  private static func include(_ object: BSONObject, _ node: Node, _ builder: inout BSONBuilder) {
    object.forEach { name, value in
      let name = String(decoding: name, as: UTF8.self)
      guard let child = node.children[name] else { return true }
      if child.children.isEmpty {
        builder.append(name, type: value.type, value.bytes)
      } else if value.type == .object || value.type == .array, let inner = BSONObject(elementsOf: value) {
        builder.append(name, type: value.type, part(inner, value.type, child, include))
      }
      return true
    }
  }

  private static func exclude(_ object: BSONObject, _ node: Node, _ builder: inout BSONBuilder) {
    object.forEach { name, value in
      let name = String(decoding: name, as: UTF8.self)
      guard let child = node.children[name], !child.children.isEmpty, let inner = BSONObject(elementsOf: value) else {
        if node.children[name] == nil || node.children[name]?.children.isEmpty == false {
          builder.append(name, type: value.type, value.bytes)
        }
        return true
      }
      builder.append(name, type: value.type, part(inner, value.type, child, exclude))
      return true
    }
  }

  /// Applies a projection to an object, or to each object of an array.
  private static func part(
    _ inner: BSONObject, _ type: BSONType, _ node: Node, _ body: (BSONObject, Node, inout BSONBuilder) -> Void
  ) -> [UInt8] {
    var builder = BSONBuilder()
    if type == .object {
      body(inner, node, &builder)
    } else {
      var count = 0
      inner.forEach { _, element in
        guard element.type == .object, let object = BSONObject(elementsOf: element) else { return true }
        var one = BSONBuilder()
        body(object, node, &one)
        builder.append("\(count)", one.document)
        count += 1
        return true
      }
    }
    return builder.document.bytes
  }
}
