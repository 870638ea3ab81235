// SPDX-License-Identifier: Apache-2.0
/// A glob pattern for one component of a path: `*` matches any characters, `?` one character, `[a-z]` one character of
/// a set, `[!a-z]` one that is not in the set. All other characters are literal, including an unclosed `[`. Matching is
/// case-sensitive.
///
/// After a mismatch only the last `*` is tried again, which finds every possible match, in at most pattern length times
/// text length steps.
public struct Glob: Sendable, Equatable {
  private enum Token: Sendable, Equatable {
    case literal(Unicode.Scalar)
    case one
    case any
    case set([ClosedRange<UInt32>], isNegated: Bool)

    var literal: Unicode.Scalar? {
      if case .literal(let scalar) = self { scalar } else { nil }
    }

    func takes(_ scalar: Unicode.Scalar) -> Bool {
      switch self {
      case .literal(let literal): literal == scalar
      case .one: true
      case .any: false
      case .set(let ranges, let isNegated): ranges.contains { $0.contains(scalar.value) } != isNegated
      }
    }
  }

  /// The pattern as written.
  public let text: String
  private let tokens: [Token]

  /// Compiles a pattern. Every text is a valid pattern.
  ///
  /// - Parameter text: the pattern.
  public init(_ text: String) {
    self.text = text
    let scalars = Array(text.unicodeScalars)
    var tokens: [Token] = []
    var index = 0
    while index < scalars.count {
      switch scalars[index] {
      case "*":
        if tokens.last != .any { tokens.append(.any) }
      case "?": tokens.append(.one)
      case "[":
        if let (set, end) = Self.set(in: scalars, from: index) {
          tokens.append(set)
          index = end
        } else {
          tokens.append(.literal("["))
        }
      default: tokens.append(.literal(scalars[index]))
      }
      index += 1
    }
    self.tokens = tokens
  }

  /// The literal text before the first special character, in UTF-8.
  var literalPrefix: [UInt8] { Self.literals(of: tokens.prefix { $0.literal != nil }) }

  /// The literal text after the last special character, in UTF-8; empty if all characters are literal.
  var literalSuffix: [UInt8] {
    let count = tokens.reversed().prefix { $0.literal != nil }.count
    return count == tokens.count ? [] : Self.literals(of: tokens.suffix(count))
  }

  private static func literals(of tokens: some Sequence<Token>) -> [UInt8] {
    Array(String(String.UnicodeScalarView(tokens.compactMap(\.literal))).utf8)
  }

  /// Returns whether the last component of a path matches.
  ///
  /// - Parameter path: the path in UTF-8.
  /// - Returns: true if the component matches.
  public func matchesLastComponent(of path: UnsafeRawBufferPointer) -> Bool {
    let start = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
    var steps = 0
    return matches(String(decoding: path[start...], as: UTF8.self), steps: &steps)
  }

  func matches(_ name: String, steps: inout Int) -> Bool {
    let scalars = Array(name.unicodeScalars)
    var token = 0
    var position = 0
    var star: (token: Int, position: Int)?
    while position < scalars.count {
      steps += 1
      if token < tokens.count, tokens[token] == .any {
        star = (token, position)
        token += 1
      } else if token < tokens.count, tokens[token].takes(scalars[position]) {
        token += 1
        position += 1
      } else if let last = star {
        star = (last.token, last.position + 1)
        token = last.token + 1
        position = last.position + 1
      } else {
        return false
      }
    }
    return tokens[token...].allSatisfy { $0 == .any }
  }

  /// Parses the set that begins with the `[` at `start`. Returns the set and the position of its `]`. A `]` at the
  /// first position is a member.
  private static func set(in scalars: [Unicode.Scalar], from start: Int) -> (Token, Int)? {
    var index = start + 1
    let isNegated = index < scalars.count && (scalars[index] == "!" || scalars[index] == "^")
    if isNegated { index += 1 }
    let first = index
    var ranges: [ClosedRange<UInt32>] = []
    while index < scalars.count {
      if scalars[index] == "]", index > first { return (.set(ranges, isNegated: isNegated), index) }
      if index + 2 < scalars.count, scalars[index + 1] == "-", scalars[index + 2] != "]" {
        let (low, high) = (scalars[index].value, scalars[index + 2].value)
        // `[z-a]` has no members.
        if low <= high { ranges.append(low...high) }
        index += 3
      } else {
        ranges.append(scalars[index].value...scalars[index].value)
        index += 1
      }
    }
    return nil
  }
}
