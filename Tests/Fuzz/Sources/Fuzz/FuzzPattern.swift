// SPDX-License-Identifier: Apache-2.0
@testable internal import ConfigModels

/// The first line is used both as a path pattern and as a glob. The rest of the input is the path.
func fuzzPattern(_ input: UnsafeRawBufferPointer) {
  let end = input.firstIndex(of: UInt8(ascii: "\n")) ?? input.count
  guard let text = String(validating: input[..<end], as: UTF8.self) else { return }
  let path = UnsafeRawBufferPointer(rebasing: input[min(end + 1, input.count)...])
  checkPattern(text, path)
  checkGlob(text, path)
}

/// The maximum lengths that the exhaustive matchers can handle in time.
private let shortPattern = 24
private let shortPath = 24

private func checkPattern(_ text: String, _ path: UnsafeRawBufferPointer) {
  guard let pattern = PathPattern(text) else {
    let names = SlowPattern(text).names
    expect(Set(names.map { Array($0.utf8) }).count < names.count, "a pattern is refused, but names nothing twice")
    return
  }
  expect(pattern.literalCount <= text.unicodeScalars.count, "more literals than characters")
  var steps = 0
  let captures = pattern.captures(of: path, steps: &steps)
  expect(steps <= 4 * (path.count + text.utf8.count), "\(steps) steps for \(text.utf8.count) and \(path.count) bytes")
  // The service accepts only valid UTF-8 as a path. The lengths are limited for the exhaustive matcher.
  guard text.unicodeScalars.count <= shortPattern, path.count <= shortPath,
    let pathText = String(validating: path, as: UTF8.self)
  else { return }
  let slow = SlowPattern(text)
  let wanted = slow.match(pathText)
  expect(captures == wanted, "\(text) on \(pathText): \(captures as Any), not \(wanted as Any)")
  let pairs = pattern.fields(of: path, extracting: pattern.names)
  expect(pairs?.count == wanted?.count, "\(text) on \(pathText): \(pairs as Any)")
}

/// A path pattern that is matched by exhaustive search, character by character.
private struct SlowPattern {
  private enum Part {
    case literal(Unicode.Scalar)
    case placeholder
  }

  private var parts: [Part] = []
  var names: [String] = []

  init(_ text: String) {
    let scalars = Array(text.unicodeScalars)
    var index = 0
    while index < scalars.count {
      if scalars[index] == "{", let close = scalars[index...].firstIndex(of: "}"), close > index + 1,
        scalars[(index + 1)..<close].allSatisfy(Self.isOfWord)
      {
        parts.append(.placeholder)
        names.append(String(String.UnicodeScalarView(scalars[(index + 1)..<close])))
        index = close + 1
      } else {
        parts.append(.literal(scalars[index]))
        index += 1
      }
    }
  }

  /// Whether the scalar counts as a word character: for ASCII by the documentation, for the rest of Unicode by the rule
  /// of the product.
  private static func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "_": true
    default: !scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
    }
  }

  /// The byte ranges of the placeholders; nil if the path does not match. Earlier placeholders are as long as possible.
  func match(_ path: String) -> [Range<Int>]? {
    let scalars = Array(path.unicodeScalars)
    var offsets = [0]
    for scalar in scalars { offsets.append(offsets[offsets.count - 1] + String(scalar).utf8.count) }
    var hopeless: Set<[Int]> = []
    func match(_ part: Int, _ place: Int) -> [Range<Int>]? {
      if part == parts.count { return place == scalars.count ? [] : nil }
      if hopeless.contains([part, place]) { return nil }
      switch parts[part] {
      case .literal(let scalar):
        if place < scalars.count, scalars[place] == scalar, let rest = match(part + 1, place + 1) { return rest }
      case .placeholder:
        let longest = scalars[place...].prefix { $0 != "/" }.endIndex
        for end in stride(from: longest, to: place, by: -1) {
          if let rest = match(part + 1, end) { return [offsets[place]..<offsets[end]] + rest }
        }
      }
      hopeless.insert([part, place])
      return nil
    }
    return match(0, 0)
  }
}

private func checkGlob(_ text: String, _ path: UnsafeRawBufferPointer) {
  let glob = Glob(text)
  let matches = glob.matchesLastComponent(of: path)
  guard let pathText = String(validating: path, as: UTF8.self) else { return }
  let name = Array(pathText.unicodeScalars.reversed().prefix { $0 != "/" }.reversed())
  let pattern = Array(text.unicodeScalars)
  var steps = 0
  expect(
    glob.matches(String(String.UnicodeScalarView(name)), steps: &steps) == matches,
    "\(text): the last component of \(pathText) is another")
  expect(steps <= (pattern.count + 1) * (name.count + 1), "\(steps) steps for \(pattern.count) and \(name.count)")
  guard pattern.count <= shortPattern, name.count <= shortPath else { return }
  expect(slowGlob(pattern[...], name[...]) == matches, "\(text) on \(pathText): \(matches)")
}

/// Whether a name matches a glob, by exhaustive search.
private func slowGlob(_ pattern: ArraySlice<Unicode.Scalar>, _ name: ArraySlice<Unicode.Scalar>) -> Bool {
  // The positions in the name up to which the processed part of the pattern can match.
  var reached: Set<Int> = [name.startIndex]
  var rest = pattern
  while let first = rest.popFirst() {
    if first == "*" {
      if let least = reached.min() { reached = Set(least...name.endIndex) }
      continue
    }
    var takes: (Unicode.Scalar) -> Bool = { $0 == first }
    if first == "?" { takes = { _ in true } }
    if first == "[", let (set, end) = slowSet(rest) {
      takes = set
      rest = rest[end...]
    }
    reached = Set(reached.filter { $0 < name.endIndex && takes(name[$0]) }.map { $0 + 1 })
  }
  return reached.contains(name.endIndex)
}

/// Parses a set in brackets. Returns its test and the position after it; nil if the bracket is not closed.
private func slowSet(_ text: ArraySlice<Unicode.Scalar>) -> (takes: (Unicode.Scalar) -> Bool, end: Int)? {
  var members = text
  let isNegated = members.first == "!" || members.first == "^"
  if isNegated { members.removeFirst() }
  let start = members.startIndex
  var ranges: [(Unicode.Scalar, Unicode.Scalar)] = []
  while let member = members.popFirst() {
    if member == "]", members.startIndex > start + 1 {
      return ({ scalar in ranges.contains { $0.0 <= scalar && scalar <= $0.1 } != isNegated }, members.startIndex)
    }
    let next = members.prefix(2)
    if next.count == 2, next.first == "-", let high = next.last, high != "]" {
      ranges.append((member, high))
      members = members.dropFirst(2)
    } else {
      ranges.append((member, member))
    }
  }
  return nil
}
