// SPDX-License-Identifier: Apache-2.0
/// A compiled pattern of paths, e.g. `results/{plantation_id}/{batch_id}.json`.
///
/// A placeholder `{word}` (letters, digits, `_`) matches one or more characters other than `/`. Everything else is
/// literal, including a brace without its partner and `{not-a-word}`. The whole path must match. Where a path can be
/// split in several ways, the earlier placeholder takes as much as possible, as in a regular expression.
///
/// No regular expression is used, because paths are untrusted and a match must take time linear in the path. Because no
/// placeholder matches a `/`, each component of the path is matched by itself. Within a component, the literals are
/// searched from the right: placing each as far right as possible leaves the most text for what precedes it, so nothing
/// is ever tried twice.
public struct PathPattern: Sendable, Equatable {
  /// One component of a pattern: literal, placeholder, literal, and so on. `literals` has one element more than
  /// `names`.
  struct Component: Sendable, Equatable {
    var literals: [Literal]
    var names: [String] = []
  }

  /// Literal bytes, with the table for searching them from right to left.
  struct Literal: Sendable, Equatable {
    let bytes: [UInt8]
    /// The failure table of Knuth, Morris and Pratt for the reversed bytes.
    let failures: [Int]
  }

  /// The pattern as written.
  public let text: String
  /// The number of literal characters. Of several sources that match, the one with the most literal characters wins.
  public let literalCount: Int
  /// The names of the placeholders, in order.
  public let names: [String]
  let components: [Component]

  /// Compiles a pattern. The result is nil if two placeholders have the same name.
  ///
  /// - Parameter text: the pattern.
  public init?(_ text: String) {
    self.text = text
    var components: [Component] = []
    var names: [String] = []
    var literalCount = 0
    for part in text.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false) {
      if !components.isEmpty { literalCount += 1 }
      let component = Component(parsing: part, literalCount: &literalCount)
      names.append(contentsOf: component.names)
      components.append(component)
    }
    for (index, name) in names.enumerated() {
      // Compared by bytes, because `==` treats two Unicode spellings of `é` as equal.
      if names[..<index].contains(where: { $0.utf8.elementsEqual(name.utf8) }) { return nil }
    }
    self.components = components
    self.names = names
    self.literalCount = literalCount
  }

  /// Returns whether the whole path matches.
  ///
  /// - Parameter path: the path in UTF-8.
  /// - Returns: true if the path matches.
  public func matches(_ path: UnsafeRawBufferPointer) -> Bool {
    captures(of: path) != nil
  }

  /// Extracts the text of placeholders from a path.
  ///
  /// - Parameters:
  ///   - path: the path in UTF-8.
  ///   - wanted: the names of the placeholders to extract.
  /// - Returns: the names and texts, in order of name; nil if the path does not match.
  public func fields(of path: UnsafeRawBufferPointer, extracting wanted: [String]) -> [StringPair]? {
    guard let captures = captures(of: path) else { return nil }
    var fields: [StringPair] = []
    for (name, range) in zip(names, captures) where wanted.contains(where: { $0.utf8.elementsEqual(name.utf8) }) {
      fields.append(StringPair(key: name, value: String(decoding: path[range], as: UTF8.self)))
    }
    return fields.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  /// The range of each placeholder in the path; nil if the path does not match.
  func captures(of path: UnsafeRawBufferPointer) -> [Range<Int>]? {
    var steps = 0
    return captures(of: path, steps: &steps)
  }

  /// `steps` counts the bytes that are examined. Tests limit this number, because it does not depend on the machine.
  func captures(of path: UnsafeRawBufferPointer, steps: inout Int) -> [Range<Int>]? {
    var captures = [Range<Int>](repeating: 0..<0, count: names.count)
    var start = 0
    var taken = 0
    for (index, component) in components.enumerated() {
      var end = start
      while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
      steps += end - start
      let isLast = index == components.count - 1
      guard isLast == (end == path.count),
        component.match(path, start..<end, into: &captures, at: taken, steps: &steps)
      else { return nil }
      taken += component.names.count
      start = end + 1
    }
    return captures
  }
}

extension PathPattern.Component {
  init(parsing text: Substring.UnicodeScalarView, literalCount: inout Int) {
    self.init(literals: [])
    var literal: [UInt8] = []
    var rest = text
    while let first = rest.first {
      if first == "{", let close = rest.firstIndex(of: "}") {
        let name = rest[rest.index(after: rest.startIndex)..<close]
        if !name.isEmpty, name.allSatisfy(isOfWord) {
          literals.append(PathPattern.Literal(literal))
          names.append(String(String.UnicodeScalarView(name)))
          literal = []
          rest = rest[rest.index(after: close)...]
          continue
        }
      }
      literal.append(contentsOf: String(first).utf8)
      literalCount += 1
      rest = rest.dropFirst()
    }
    literals.append(PathPattern.Literal(literal))
  }

  /// Whether `path[range]` matches.
  func matches(_ path: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
    var captures = [Range<Int>](repeating: 0..<0, count: names.count)
    var steps = 0
    return match(path, range, into: &captures, at: 0, steps: &steps)
  }

  /// Matches `path[range]`, and writes the ranges of the placeholders to `captures` from `offset` on.
  func match(
    _ path: UnsafeRawBufferPointer, _ range: Range<Int>, into captures: inout [Range<Int>], at offset: Int,
    steps: inout Int
  ) -> Bool {
    let first = literals[0].bytes
    let last = literals[literals.count - 1].bytes
    steps += first.count + last.count
    guard range.count >= first.count, path[range.lowerBound..<(range.lowerBound + first.count)].elementsEqual(first)
    else { return false }
    if names.isEmpty { return range.count == first.count }

    let floor = range.lowerBound + first.count
    var end = range.upperBound - last.count
    guard end > floor, path[end..<range.upperBound].elementsEqual(last) else { return false }
    var index = names.count - 1
    while index > 0 {
      // The placeholder needs at least one character, which may have several bytes.
      guard end > floor else { return false }
      var limit = end - 1
      while limit > floor, path[limit] & 0xC0 == 0x80 { limit -= 1 }
      guard let place = literals[index].lastPlace(in: path, floor..<limit, steps: &steps) else { return false }
      captures[offset + index] = (place + literals[index].bytes.count)..<end
      end = place
      index -= 1
    }
    guard end > floor else { return false }
    captures[offset] = floor..<end
    return true
  }
}

extension PathPattern.Literal {
  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    let reversed = Array(bytes.reversed())
    var failures = [Int](repeating: 0, count: reversed.count)
    var matched = 0
    for index in reversed.indices.dropFirst() {
      while matched > 0, reversed[index] != reversed[matched] { matched = failures[matched - 1] }
      if reversed[index] == reversed[matched] { matched += 1 }
      failures[index] = matched
    }
    self.failures = failures
  }

  /// The start of the rightmost occurrence within `range`; nil if there is none.
  func lastPlace(in path: UnsafeRawBufferPointer, _ range: Range<Int>, steps: inout Int) -> Int? {
    if bytes.isEmpty { return range.upperBound }
    var matched = 0
    var position = range.upperBound
    while position > range.lowerBound {
      position -= 1
      steps += 1
      while matched > 0, path[position] != bytes[bytes.count - 1 - matched] {
        matched = failures[matched - 1]
        steps += 1
      }
      if path[position] == bytes[bytes.count - 1 - matched] { matched += 1 }
      if matched == bytes.count { return position }
    }
    return nil
  }
}

private func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
  if scalar.isASCII {
    return ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "_"
  }
  return scalar.properties.isAlphabetic || scalar.properties.numericType != nil
}
