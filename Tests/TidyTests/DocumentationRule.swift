// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The rule that public and package declarations have complete doc comments: a summary, every parameter, the result and
/// the errors.
enum DocumentationRule {
  static func breaches(_ file: SourceFile) -> [Breach] {
    file.lines.indices.compactMap { index in
      guard let declaration = Declaration(file.lines, at: index) else { return nil }
      let missing = declaration.missing(in: documentation(file.lines, above: index))
      guard !missing.isEmpty else { return nil }
      return Breach(
        file: file.path, line: index + 1, advice: "complete the doc comment: \(missing.joined(separator: ", "))")
    }
  }

  /// The text of the doc comment above a declaration; nil if there is none.
  private static func documentation(_ lines: [String], above index: Int) -> String? {
    var first = index - 1
    while first >= 0, lines[first].trimmed.hasPrefix("@") { first -= 1 }
    let last = first
    while first >= 0, lines[first].trimmed.hasPrefix("///") { first -= 1 }
    return first == last ? nil : lines[(first + 1)...last].joined(separator: "\n")
  }
}

/// A public or package declaration, as far as its doc comment depends on it.
private struct Declaration {
  private let isFunction: Bool
  private var parameters: [String] = []
  private var hasResult = false
  private var hasErrors = false

  private static let start = try? NSRegularExpression(
    pattern: #"^\s*(@\w+(\([^)]*\))?\s+)*(public|package)\s+"#
      + #"((static|final|mutating|nonisolated|override|convenience|indirect|consuming|borrowing|class)\s+)*"#
      + #"(func|init|struct|class|enum|protocol|actor|var|let|subscript)\b"#)

  init?(_ lines: [String], at index: Int) {
    let line = lines[index]
    let range = NSRange(line.startIndex..., in: line)
    guard let match = Self.start?.firstMatch(in: line, range: range),
      let word = Range(match.range(at: 6), in: line)
    else { return nil }
    isFunction = line[word] == "func" || line[word] == "init"
    guard isFunction else { return }
    readSignature(Self.signature(lines, from: index))
  }

  /// The declaration up to its body, in one line.
  private static func signature(_ lines: [String], from index: Int) -> String {
    var text = ""
    for line in lines[index...].prefix(20) {
      text += " " + line
      let isClosed = text.count { $0 == "(" } == text.count { $0 == ")" }
      if isClosed, line.contains("{") || line.trimmed.isEmpty || line.trimmed == "}" { break }
    }
    return text
  }

  private mutating func readSignature(_ text: String) {
    guard let open = text.firstIndex(of: "(") else { return }
    var depth = 0
    var current = ""
    var end = text.endIndex
    for place in text[open...].indices {
      let character = text[place]
      // The arrow of a function type closes nothing.
      let isArrow = character == ">" && place > text.startIndex && text[text.index(before: place)] == "-"
      if "([<{".contains(character) { depth += 1 }
      if ")]>}".contains(character), !isArrow { depth -= 1 }
      if depth == 0 || character == "," && depth == 1 {
        add(current)
        current = ""
        end = text.index(after: place)
        if depth == 0 { break }
      } else if depth > 1 || character != "(" {
        current.append(character)
      }
    }
    let rest = text[end...].prefix { $0 != "{" }
    hasResult = rest.contains("->")
    hasErrors = rest.prefix(while: { $0 != "-" }).contains("throws")
  }

  private mutating func add(_ parameter: String) {
    guard let name = parameter.split(separator: ":").first?.split(separator: " ").last else { return }
    parameters.append(String(name))
  }

  /// What a doc comment lacks.
  func missing(in text: String?) -> [String] {
    guard let text else { return ["the summary"] }
    guard isFunction else { return [] }
    var missing = parameters.filter { !text.contains("- Parameter \($0):") && !text.contains("  - \($0):") }
    if hasResult, !text.contains("- Returns:"), !text.contains("Returns "), !text.contains("Whether ") {
      missing.append("Returns")
    }
    if hasErrors, !text.contains("- Throws:") { missing.append("Throws") }
    return missing
  }
}

extension String {
  fileprivate var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
