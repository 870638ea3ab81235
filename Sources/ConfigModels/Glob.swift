/// A glob over one component of a path: `*` takes any characters, `?` one, `[a-z]` one of these, `[!a-z]` one of the
/// others; everything else is literal, an unclosed `[` too. Case counts.
///
/// On a mismatch only the last `*` is tried again, which finds every match there is: at most pattern times text steps.
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

  public let text: String
  private let tokens: [Token]

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

  /// The literal text after the last special character, in UTF-8; nothing where all is literal.
  var literalSuffix: [UInt8] {
    let count = tokens.reversed().prefix { $0.literal != nil }.count
    return count == tokens.count ? [] : Self.literals(of: tokens.suffix(count))
  }

  private static func literals(of tokens: some Sequence<Token>) -> [UInt8] {
    Array(String(String.UnicodeScalarView(tokens.compactMap(\.literal))).utf8)
  }

  /// Whether the last component of `path` matches.
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

  /// The set that begins with the `[` at `start`, and where its `]` is. A `]` that comes first is a member.
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
