// SPDX-License-Identifier: Apache-2.0
extension ProgramDescription {
  /// The columns of a line of help: those of a terminal by default.
  private static let columns = 80

  /// A short text: the commands by group, the common flags, and where to read more.
  package var overview: String {
    var parts = ["Usage: \(name) COMMAND [ARGUMENT...] [FLAG...]"]
    parts += description.map { wrapped($0, columns: Self.columns).joined(separator: "\n") }
    var groups: [String] = []
    for command in commands where !groups.contains(command.group) { groups.append(command.group) }
    let width = commands.map(\.name.count).max() ?? 0
    parts += groups.map { group in
      "\(group):\n"
        + commands.filter { $0.group == group }.map { listed($0.name, width, $0.summary) }.joined(separator: "\n")
    }
    parts += sections.filter(\.isInOverview).map { brief($0) }
    parts.append(
      """
      "\(name) help COMMAND" prints the flags and examples of a command.
      \(pointerToManual)
      """)
    return parts.joined(separator: "\n\n")
  }

  /// The usage, the flags and the examples of one command.
  ///
  /// - Parameter command: One of ``commands``.
  /// - Returns: Lines without a line break at the end.
  package func help(of command: CommandDescription) -> String {
    var parts = [usage(of: command)]
    parts += command.description.map { wrapped($0, columns: Self.columns).joined(separator: "\n") }
    if !command.flags.isEmpty { parts.append("Flags:\n" + command.flags.map(flagText).joined(separator: "\n")) }
    parts += commonSections(of: command).map { brief($0) }
    if !command.examples.isEmpty {
      parts.append(
        "Examples:\n" + command.examples.map { "  # \($0.comment)\n  \($0.command)" }.joined(separator: "\n"))
    }
    parts.append(pointerToManual)
    return parts.joined(separator: "\n\n")
  }

  /// Everything about a program without commands.
  package var help: String {
    var parts = ["Usage: \(name) [FLAG...]"]
    parts += description.map { wrapped($0, columns: Self.columns).joined(separator: "\n") }
    parts += sections.map(\.fullText)
    parts += notes.map { note in
      "\(note.title):\n"
        + note.paragraphs.flatMap { wrapped($0, columns: Self.columns - 2) }.map { "  \($0)" }.joined(separator: "\n")
    }
    parts.append(
      "Exit status:\n" + exitStatuses.map { listed("\($0.status)", 3, $0.meaning) }.joined(separator: "\n"))
    return parts.joined(separator: "\n\n")
  }

  private var pointerToManual: String {
    "\"\(name) man | man -l -\" shows all flags with their environment variables."
  }

  private func usage(of command: CommandDescription) -> String {
    guard command.usage.count > 1 else { return "Usage: \(name) \(command.usage.first ?? command.name)" }
    return "Usage:\n" + command.usage.map { "  \(name) \($0)" }.joined(separator: "\n")
  }

  /// The flags of a section, a line or two each.
  private func brief(_ section: FlagSection) -> String {
    let width = section.flags.map(\.usage.count).max() ?? 0
    return "\(section.title):\n"
      + section.flags.map { flag in
        // That a toggle is off by default needs no words in a short list.
        listed(flag.usage, width, flag.summary + (flag.defaultText == "false" ? "" : flag.defaultNote))
      }.joined(separator: "\n")
  }

  /// A name and what it means, in two columns.
  private func listed(_ name: String, _ width: Int, _ text: String) -> String {
    let lines = wrapped(text, columns: Self.columns - width - 4)
    let rest = lines.dropFirst().map { "\n" + String(repeating: " ", count: width + 4) + $0 }.joined()
    return "  " + name + String(repeating: " ", count: max(0, width - name.count) + 2) + (lines.first ?? "") + rest
  }
}

extension FlagSection {
  /// The heading, where there is one, and every flag with its help text, its default and its variable.
  var fullText: String {
    (title.isEmpty ? "" : "\(title):\n") + flags.map(flagText).joined(separator: "\n")
  }
}

extension FlagDescription {
  /// ` (default: false)`, whose words stay on one line where they are few; empty without a default.
  fileprivate var defaultNote: String {
    guard let defaultText else { return "" }
    let note = "(default: \(defaultText))"
    return " " + (note.count > 40 ? note : note.split(separator: " ").joined(separator: "\(unbreakable)"))
  }
}

/// A blank at which no line is broken.
private let unbreakable: Character = "\u{a0}"

private func flagText(_ flag: FlagDescription) -> String {
  let lines = wrapped(flag.help + flag.defaultNote, columns: 74) + (flag.environmentVariable.map { [$0] } ?? [])
  return "  \(flag.usage)\n" + lines.map { "      \($0)" }.joined(separator: "\n")
}

/// Breaks a text at blanks.
///
/// - Parameters:
///   - text: Words with blanks between them. A no-break space is replaced by a blank.
///   - columns: The most characters of a line. A longer word has a line of its own.
/// - Returns: At least one line.
func wrapped(_ text: String, columns: Int) -> [String] {
  var lines: [String] = []
  var line = ""
  for word in text.split(separator: " ") {
    if !line.isEmpty, line.count + 1 + word.count > columns {
      lines.append(line)
      line = ""
    }
    line += (line.isEmpty ? "" : " ") + word.split(separator: unbreakable).joined(separator: " ")
  }
  return lines + [line]
}
