// SPDX-License-Identifier: Apache-2.0
extension ProgramDescription {
  /// The manual page, in the man macros of troff.
  ///
  /// https://man7.org/linux/man-pages/man7/groff_man.7.html
  package var manualPage: String {
    var page = ManualPage()
    page.begin(name.uppercased(), section: manualSection, source: "\(name) \(version)")
    page.heading("NAME")
    page.text("\(name) - \(summary)")
    page.heading("SYNOPSIS")
    page.lines(synopsis)
    page.heading("DESCRIPTION")
    page.paragraphs(description)
    if !commands.isEmpty {
      page.heading("COMMANDS")
      for command in commands { describe(command, on: &page) }
    }
    for section in sections {
      page.heading(section.title.uppercased())
      section.flags.forEach { page.flag($0) }
    }
    for note in notes {
      page.heading(note.title.uppercased())
      page.paragraphs(note.paragraphs)
    }
    page.heading("EXIT STATUS")
    for (status, meaning) in exitStatuses { page.tagged("\(status)", meaning) }
    page.heading("SEE ALSO")
    page.text(seeAlso.joined(separator: ", "))
    return page.source
  }

  private var synopsis: [(bold: String, plain: String)] {
    guard !commands.isEmpty else { return [(name, "[FLAG...]")] }
    return commands.flatMap { command in
      command.usage.map { ("\(name) \(command.name)", String($0.dropFirst(command.name.count + 1))) }
    }
  }

  private func describe(_ command: CommandDescription, on page: inout ManualPage) {
    page.subheading(command.name)
    page.text(command.summary + ".")
    page.paragraphs(command.description, isContinued: true)
    command.flags.forEach { page.flag($0) }
    guard !command.examples.isEmpty else { return }
    page.paragraphs([command.examples.count == 1 ? "Example:" : "Examples:"], isContinued: true)
    page.example(command.examples.flatMap { ["# \($0.comment)", $0.command] })
  }
}

/// The date of the release, for the pages' first line. It is not the date of the build, so that equal sources print
/// equal pages.
private let releaseDate = "2026-11-29"

/// Source text in the man macros.
private struct ManualPage {
  private(set) var source = ""

  mutating func begin(_ title: String, section: Int, source footer: String) {
    request(#".TH "\#(escaped(title))" \#(section) \#(releaseDate) "\#(escaped(footer))" "ConfigLookup Manual""#)
    // A hyphen or a wide blank in the name of a variable or a flag would mislead.
    request(".nh")
    request(".ad l")
  }

  mutating func heading(_ title: String) { request(".SH \"\(escaped(title))\"") }

  mutating func subheading(_ title: String) { request(".SS \"\(escaped(title))\"") }

  mutating func text(_ text: String) {
    for line in wrapped(escaped(text), columns: 80) { source += protected(line) + "\n" }
  }

  mutating func paragraphs(_ paragraphs: [String], isContinued: Bool = false) {
    for (index, paragraph) in paragraphs.enumerated() {
      if index > 0 || isContinued { request(".PP") }
      text(paragraph)
    }
  }

  /// Lines that are not filled, each with a part in bold.
  mutating func lines(_ lines: [(bold: String, plain: String)]) {
    request(".nf")
    for line in lines {
      request("\\fB\(escaped(line.bold))\\fR" + (line.plain.isEmpty ? "" : " \(escaped(line.plain))"))
    }
    request(".fi")
  }

  mutating func example(_ lines: [String]) {
    request(".PP")
    request(".EX")
    for line in lines { source += protected(escaped(line)) + "\n" }
    request(".EE")
  }

  mutating func flag(_ flag: FlagDescription) {
    let placeholder = flag.placeholder.map { " \\fI\(escaped($0))\\fR" } ?? ""
    request(".TP")
    request("\\fB\(escaped("--\(flag.name)"))\\fR\(placeholder)")
    text(flag.help)
    if let text = flag.defaultText { self.text("Default: \(text).") }
    if let variable = flag.environmentVariable {
      text("Environment variable:")
      request(".BR \(escaped(variable)) .")
    }
  }

  mutating func tagged(_ tag: String, _ meaning: String) {
    request(".TP")
    request("\\fB\(escaped(tag))\\fR")
    text(meaning)
  }

  private mutating func request(_ line: String) { source += line + "\n" }

  /// The text without characters that troff interprets or replaces by typographic ones.
  private func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "\\": result += "\\e"
      case "-": result += "\\-"
      case "\"": result += "\\(dq"
      case "'": result += "\\(aq"
      case "`": result += "\\(ga"
      case "^": result += "\\(ha"
      case "~": result += "\\(ti"
      default: result.append(character)
      }
    }
    return result
  }

  /// The line with a zero-width character in front where it would be a request. An escaped line begins with no quote.
  private func protected(_ line: String) -> String {
    line.hasPrefix(".") ? "\\&" + line : line
  }
}
