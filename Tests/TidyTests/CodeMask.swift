// SPDX-License-Identifier: Apache-2.0
/// Replaces the comments and string literals of Swift source by spaces, so that the rest can be searched for words and
/// braces. It is not a parser, but it suffices for formatted source.
struct CodeMask {
  private let source: [Character]
  private var at = 0
  private var result = ""

  static func lines(_ lines: [String]) -> [String] {
    var mask = CodeMask(source: Array(lines.joined(separator: "\n")))
    mask.code(until: nil)
    return mask.result.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  private init(source: [Character]) {
    self.source = source
  }

  /// Masks code up to the `)` that closes an interpolation, or up to the end.
  private mutating func code(until close: Character?) {
    var depth = 0
    while at < source.count {
      if starts("//") {
        while at < source.count, source[at] != "\n" { blank() }
      } else if starts("/*") {
        while at < source.count, !starts("*/") { blank() }
        for _ in 0..<2 where at < source.count { blank() }
      } else if let quote = quoteHere() {
        string(quote)
      } else {
        if source[at] == "(" { depth += 1 }
        if source[at] == ")" {
          if depth == 0, close != nil { return }
          depth -= 1
        }
        result.append(source[at])
        at += 1
      }
    }
  }

  /// The delimiter of a string literal that begins at the current position, for example `"`, `"""` or `#"`; nil if none
  /// begins there.
  private func quoteHere() -> (hashes: String, quotes: String)? {
    var index = at
    while index < source.count, source[index] == "#" { index += 1 }
    guard index < source.count, source[index] == "\"" else { return nil }
    let three = index + 2 < source.count && source[index + 1] == "\"" && source[index + 2] == "\""
    return (String(source[at..<index]), three ? "\"\"\"" : "\"")
  }

  private mutating func string(_ quote: (hashes: String, quotes: String)) {
    for _ in 0..<(quote.hashes.count + quote.quotes.count) { blank() }
    let end = quote.quotes + quote.hashes
    let escape = "\\" + quote.hashes
    while at < source.count, !starts(end) {
      if starts(escape + "(") {
        for _ in 0..<(escape.count + 1) { blank() }
        code(until: ")")
      } else if starts(escape) {
        for _ in 0..<(escape.count + 1) where at < source.count { blank() }
      } else {
        blank()
      }
    }
    for _ in 0..<end.count where at < source.count { blank() }
  }

  private func starts(_ text: String) -> Bool {
    var index = at
    for character in text {
      guard index < source.count, source[index] == character else { return false }
      index += 1
    }
    return true
  }

  private mutating func blank() {
    result.append(source[at] == "\n" ? "\n" : " ")
    at += 1
  }
}
