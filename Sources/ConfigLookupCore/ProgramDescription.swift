// SPDX-License-Identifier: Apache-2.0
/// A program as its help text, its manual page and its completion script describe it: one source for all three.
package struct ProgramDescription: Sendable {
  /// The name of the executable.
  package let name: String
  /// The section of the manual: 1 for commands, 8 for daemons.
  package let manualSection: Int
  /// The version that `--version` prints.
  package let version: String
  /// One line without a full stop, which continues "NAME - ".
  package let summary: String
  /// Paragraphs.
  package let description: [String]
  /// The commands, in the order of the help text; empty for a program without commands.
  package let commands: [CommandDescription]
  /// The flags that are not of one command alone, by topic.
  package let sections: [FlagSection]
  /// Headings with paragraphs that come after the flags.
  package let notes: [(title: String, paragraphs: [String])]
  /// The exit statuses with their meanings.
  package let exitStatuses: [(status: Int32, meaning: String)]
  /// Pages of the manual: `config-lookup(1)`.
  package let seeAlso: [String]

  /// Describes a program.
  ///
  /// - Parameters:
  ///   - name: The name of the executable.
  ///   - manualSection: The section of the manual: 1 for commands, 8 for daemons.
  ///   - version: The version that `--version` prints.
  ///   - summary: One line without a full stop.
  ///   - description: Paragraphs.
  ///   - commands: The commands, in the order of the help text.
  ///   - sections: The flags that are not of one command alone, by topic.
  ///   - notes: Headings with paragraphs that come after the flags.
  ///   - exitStatuses: The exit statuses with their meanings.
  ///   - seeAlso: Pages of the manual.
  package init(
    name: String, manualSection: Int, version: String, summary: String, description: [String],
    commands: [CommandDescription] = [], sections: [FlagSection], notes: [(title: String, paragraphs: [String])] = [],
    exitStatuses: [(status: Int32, meaning: String)], seeAlso: [String]
  ) {
    self.name = name
    self.manualSection = manualSection
    self.version = version
    self.summary = summary
    self.description = description
    self.commands = commands
    self.sections = sections
    self.notes = notes
    self.exitStatuses = exitStatuses
    self.seeAlso = seeAlso
  }

  /// The sections of flags that apply to a command.
  func commonSections(of command: CommandDescription) -> [FlagSection] {
    sections.filter { command.sections.contains($0.title) }
  }

  /// All flags of all commands, each once.
  package var allFlags: [FlagDescription] {
    var names: Set<String> = []
    return (commands.flatMap(\.flags) + sections.flatMap(\.flags)).filter { names.insert($0.name).inserted }
  }
}

/// A command of a program.
package struct CommandDescription: Sendable {
  /// The first word of the command line.
  package let name: String
  /// The heading of the overview under which the command stands.
  package let group: String
  /// One line in the imperative, without a full stop.
  package let summary: String
  /// Usage lines, each without the name of the program.
  package let usage: [String]
  /// Paragraphs.
  package let description: [String]
  /// What the words after the command are, in order.
  package let arguments: [ValueKind]
  /// The flags of this command.
  package let flags: [FlagDescription]
  /// The titles of the program's sections of flags that apply to this command.
  package let sections: [String]
  /// Command lines with what they do.
  package let examples: [(comment: String, command: String)]

  /// Describes a command.
  ///
  /// - Parameters:
  ///   - name: The first word of the command line.
  ///   - group: The heading of the overview under which the command stands.
  ///   - summary: One line in the imperative, without a full stop.
  ///   - usage: Usage lines, each without the name of the program.
  ///   - description: Paragraphs.
  ///   - arguments: What the words after the command are, in order.
  ///   - flags: The flags of this command.
  ///   - sections: The titles of the program's sections of flags that apply to this command.
  ///   - examples: Command lines with what they do.
  package init(
    _ name: String, group: String, summary: String, usage: [String], description: [String],
    arguments: [ValueKind] = [], flags: [FlagDescription] = [], sections: [String],
    examples: [(comment: String, command: String)]
  ) {
    self.name = name
    self.group = group
    self.summary = summary
    self.usage = usage
    self.description = description
    self.arguments = arguments
    self.flags = flags
    self.sections = sections
    self.examples = examples
  }
}

/// Flags under a heading.
package struct FlagSection: Sendable {
  /// The heading; empty for none.
  package let title: String
  /// The flags, in the order of the help text.
  package let flags: [FlagDescription]
  /// Whether the overview of a program with commands lists the flags.
  package let isInOverview: Bool

  /// Describes a group of flags.
  ///
  /// - Parameters:
  ///   - group: The group.
  ///   - isInOverview: Whether the overview of a program with commands lists the flags.
  package init<Configuration>(_ group: FlagGroup<Configuration>, isInOverview: Bool = true) {
    title = group.title
    flags = group.flags.map(FlagDescription.init)
    self.isInOverview = isInOverview
  }
}

/// What is printed about a flag.
package struct FlagDescription: Sendable {
  /// The name without dashes.
  package let name: String
  /// The placeholder of the value; nil for a toggle.
  package let placeholder: String?
  /// What the flag does, in complete sentences.
  package let help: String
  /// The default; nil where there is none.
  package let defaultText: String?
  /// The environment variable; nil where there is none.
  package let environmentVariable: String?
  /// What the value is, for completion.
  package let valueKind: ValueKind
  /// Whether the flag may be repeated.
  package let isRepeatable: Bool

  /// Describes a flag.
  ///
  /// - Parameter flag: The flag.
  package init<Configuration>(_ flag: Flag<Configuration>) {
    name = flag.name
    placeholder = flag.placeholder
    var help = flag.help
    if case .choice(_, let words, _) = flag.reader { help += " One of: \(words.joined(separator: ", "))." }
    if flag.isRepeatable { help += " May be repeated." }
    self.help = help
    defaultText = flag.defaultText
    environmentVariable = flag.environmentVariable
    valueKind = flag.valueKind
    isRepeatable = flag.isRepeatable
  }

  /// `--server HOST:PORT`
  var usage: String { "--\(name)" + (placeholder.map { " \($0)" } ?? "") }

  /// The first sentence of the help text, without its full stop.
  package var summary: String {
    let end = help.firstRange(of: ". ")?.lowerBound ?? (help.hasSuffix(".") ? help.index(before: help.endIndex) : nil)
    return end.map { String(help[..<$0]) } ?? help
  }
}
