/// A pattern of paths, compiled: `results/{plantation_id}/{batch_id}.json`.
///
/// `{word}` (letters, digits, `_`) takes one or more characters other than `/`. Everything else is literal: a brace
/// without its partner and `{not-a-word}` too. The whole path must match. Where a path can be cut in several ways, the
/// earlier placeholder takes as much as it can, as it would in a regular expression.
///
/// No regular expression is used: paths come from anyone, and a match must take time linear in the path. No placeholder
/// can take a `/`, so each component of the path is matched by itself. Within one, the literals are looked for from the
/// right: placing each as far right as it goes leaves the most for what stands before it, so nothing is ever tried
/// twice.
public struct PathPattern: Sendable, Equatable {
  /// One component: literal, placeholder, literal, ... `literals` has one element more than `names`.
  struct Component: Sendable, Equatable {
    var literals: [Literal]
    var names: [String] = []
  }

  /// Literal bytes, with what is needed to look for them from right to left.
  struct Literal: Sendable, Equatable {
    let bytes: [UInt8]
    /// Knuth, Morris and Pratt's table of the reversed bytes.
    let failures: [Int]
  }

  public let text: String
  /// How many characters of the pattern are literal: of several sources that match, the one with the most wins.
  public let literalCount: Int
  /// The placeholders, in order.
  public let names: [String]
  let components: [Component]

  /// Nil for a pattern that names one placeholder twice.
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
      // By bytes: `==` takes two spellings of `é` for one.
      if names[..<index].contains(where: { $0.utf8.elementsEqual(name.utf8) }) { return nil }
    }
    self.components = components
    self.names = names
    self.literalCount = literalCount
  }

  /// Whether the whole path matches.
  public func matches(_ path: UnsafeRawBufferPointer) -> Bool {
    captures(of: path) != nil
  }

  /// What the placeholders named in `wanted` take of the path, in order of name; nil where the path does not match.
  public func fields(of path: UnsafeRawBufferPointer, extracting wanted: [String]) -> [StringPair]? {
    guard let captures = captures(of: path) else { return nil }
    var fields: [StringPair] = []
    for (name, range) in zip(names, captures) where wanted.contains(where: { $0.utf8.elementsEqual(name.utf8) }) {
      fields.append(StringPair(key: name, value: String(decoding: path[range], as: UTF8.self)))
    }
    return fields.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  /// What each placeholder takes, or nil.
  func captures(of path: UnsafeRawBufferPointer) -> [Range<Int>]? {
    var steps = 0
    return captures(of: path, steps: &steps)
  }

  /// `steps` counts the bytes that are looked at: tests bound it, because it does not depend on the machine.
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

  /// Matches `path[range]`, and writes what the placeholders take to `captures` from `offset` on.
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
      // The placeholder needs one character, which may be several bytes.
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

  /// Where the rightmost occurrence within `range` begins.
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
