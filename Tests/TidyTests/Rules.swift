// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The rules that can be seen in one file. Each gives what it finds wrong.
enum Rules {
  static let fileLinesMax = 450
  static let functionLinesMax = 80
  static let columnsMax = 120

  static func shortFile(_ file: SourceFile) -> [Breach] {
    let count = file.lines.count - (file.lines.last?.isEmpty == true ? 1 : 0)
    guard count > fileLinesMax else { return [] }
    return [
      Breach(file: file.path, line: count, advice: "\(count) lines: split the file, \(fileLinesMax) are the most")
    ]
  }

  static func shortLines(_ file: SourceFile) -> [Breach] {
    find(file, in: file.lines, advice: "break the line: \(columnsMax) columns are the most") { $0.count > columnsMax }
  }

  static func shortFunctions(_ file: SourceFile) -> [Breach] {
    let code = CodeMask.lines(file.lines)
    return code.indices.compactMap { first in
      guard matches(code[first], function), let last = lastLine(ofFunctionAt: first, in: code) else { return nil }
      let count = last - first + 1
      guard count > functionLinesMax else { return nil }
      return Breach(
        file: file.path, line: first + 1,
        advice: "a function of \(count) lines: split it, \(functionLinesMax) are the most")
    }
  }

  static func noTraps(_ file: SourceFile) -> [Breach] {
    let advice = "throw an error instead; a precondition if only a bug of ours can lead here"
    return find(file, in: CodeMask.lines(file.lines), advice: advice) { matches($0, traps) }
  }

  static func noFunctionInALock(_ file: SourceFile) -> [Breach] {
    let advice = "a LateFunction instead: a function in a generic lock is wrapped once more by every access"
    return find(file, in: CodeMask.lines(file.lines), advice: advice) { matches($0, lockedFunction) }
  }

  static func reasonForUnchecked(_ file: SourceFile) -> [Breach] {
    let code = CodeMask.lines(file.lines)
    return code.indices.filter { matches(code[$0], unchecked) }.compactMap { index in
      let near = file.lines[max(0, index - 3)...min(index + 3, file.lines.count - 1)]
      guard !near.contains(where: { matches($0, reason) }) else { return nil }
      return Breach(
        file: file.path, line: index + 1, advice: "say in a comment, within 3 lines, what makes it safe to share")
    }
  }

  static func noLooseEnds(_ file: SourceFile) -> [Breach] {
    find(file, in: file.lines, advice: "do it now, or leave it out: the tree keeps no notes to self") {
      matches($0, looseEnds)
    }
  }

  static func noMachinePaths(_ file: SourceFile) -> [Breach] {
    find(file, in: file.lines, advice: "a path of one machine: make it relative, or a variable") {
      matches($0, machinePaths)
    }
  }

  /// One of the first two lines is the SPDX line: a manifest has the version of its tools before it.
  static func license(_ file: SourceFile) -> [Breach] {
    let line = "// SPDX-License-" + "Identifier: Apache-2.0"
    guard !file.lines.prefix(2).contains(line) else { return [] }
    return [Breach(file: file.path, line: 1, advice: "begin the file with: \(line)")]
  }

  /// Comments name the subject, and use no idiom of this project's own.
  static func ordinaryTerms(_ file: SourceFile) -> [Breach] {
    find(file, in: file.lines, advice: "name the subject or the number in ordinary terms") { line in
      matches(line, idiom)
    }
  }

  // MARK: - Patterns. Those that would match themselves are put together from pieces.

  private static let modifiers =
    #"^\s*(@\w+(\([^)]*\))?\s+)*((public|private|internal|fileprivate|package|open|static|class|final|override"#
    + #"|mutating|nonmutating|consuming|borrowing|convenience|required|nonisolated|indirect)(\(\w+\))?\s+)*"#
  private static let function = pattern(modifiers + #"(func\s|init[?!]?\s*[<(]|deinit\s*\{|subscript\s*[<(])"#)
  private static let declaration = pattern(
    modifiers + #"(func|init|deinit|subscript|var|let|case|associatedtype)\b|^\s*(\}|$)"#)
  private static let traps = pattern(#"\btry!|\bas!|\bfatalError\s*\("#)
  private static let lockedFunction = pattern(#"\b(Locked|Mutex)<\(*\s*(@\w+\s+)*\([^<>]*\)\s*->"#)
  private static let unchecked = pattern(#"@unchecked\s+Sendable|\bnonisolated\(unsafe\)"#)
  private static let reason = pattern(#"//.*\b([Ss]afe|lock|[Tt]hread|[Oo]nly|[Ii]mmutable|[Nn]ever|loop|constant)"#)
  private static let looseEnds = pattern(
    #"\b("# + ["TO" + "DO", "FIX" + "ME", "X" + "XX"].joined(separator: "|") + #")\b"#)
  private static let machinePaths = pattern(
    "/(" + ["ho" + "me", "wo" + "rk", "Us" + "ers"].joined(separator: "|") + ")/")
  private static let idiom = pattern(
    #"//.*\b("#
      + ["who" + "ever", "some" + "body", "no" + "body", "any" + "body", "so ma" + "ny", "let g" + "o of"]
      .joined(separator: "|") + #")\b"#)

  private static func pattern(_ text: String) -> NSRegularExpression? {
    try? NSRegularExpression(pattern: text)
  }

  private static func matches(_ text: String, _ pattern: NSRegularExpression?) -> Bool {
    guard let pattern else { return true }
    return pattern.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
  }

  private static func find(
    _ file: SourceFile, in lines: [String], advice: String, where isWrong: (String) -> Bool
  ) -> [Breach] {
    lines.indices.filter { isWrong(lines[$0]) }.map { Breach(file: file.path, line: $0 + 1, advice: advice) }
  }

  /// The line of the brace that closes the function; nil for one without a body, in a protocol.
  private static func lastLine(ofFunctionAt first: Int, in code: [String]) -> Int? {
    var parentheses = 0
    var braces = 0
    for index in first..<code.count {
      let isBefore = braces == 0 && parentheses == 0 && index > first
      if isBefore && !code[index].contains("{") && matches(code[index], declaration) { return nil }
      for character in code[index] {
        switch character {
        case "(": parentheses += 1
        case ")": parentheses -= 1
        case "{" where parentheses == 0 || braces > 0: braces += 1
        case "}" where braces > 0:
          braces -= 1
          if braces == 0 { return index }
        default: break
        }
      }
    }
    return nil
  }
}
