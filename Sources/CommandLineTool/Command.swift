// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// A command of the tool: what is printed about it, and the function that runs it.
struct Command: Sendable {
  /// The usage, the flags and the examples.
  let description: CommandDescription
  /// Runs the command with the words after its name. Returns the exit status.
  let run: @Sendable ([String], ToolOptions) throws -> Int32

  /// Finds a command.
  ///
  /// - Parameter name: The first word of the command line.
  /// - Returns: The command.
  /// - Throws: An unknown command, with the most similar one where there is one.
  static func named(_ name: String) throws(UsageError) -> Command {
    if let command = all.first(where: { $0.description.name == name }) { return command }
    if name == "-h" { throw UsageError("unknown flag -h: did you mean --help?") }
    guard let near = nearestName(to: name, among: all.map(\.description.name)) else {
      throw UsageError("unknown command \"\(name)\"; config-lookup help lists the commands")
    }
    throw UsageError("unknown command \"\(name)\": did you mean \(near)?")
  }

  /// Checks the flags of the command line.
  ///
  /// - Parameter flags: The names of the flags.
  /// - Throws: The first flag that has no effect on this command.
  func check(_ flags: [String]) throws(UsageError) {
    let common = Command.program.sections.filter { description.sections.contains($0.title) }.flatMap(\.flags)
    let known = Set((description.flags + common).map(\.name))
    guard let flag = flags.first(where: { !known.contains($0) }) else { return }
    let owners = Command.all.map(\.description).filter { $0.flags.contains { $0.name == flag } }.map(\.name)
    let owner = owners.isEmpty ? "" : "; it is a flag of \(owners.joined(separator: " and "))"
    throw UsageError("--\(flag): \(description.name) does not take this flag\(owner)")
  }

  /// The source of the help text, the manual page and the completion scripts.
  static let program = ProgramDescription(
    name: "config-lookup", manualSection: 1, version: toolVersion,
    summary: "query a ConfigLookup server and watch its answers change",
    description: [
      "config-lookup queries a config-lookup-server: which config is in force for a key? It also watches answers "
        + "change, checks the server's health and loads documents into MongoDB."
    ],
    commands: all.map(\.description),
    sections: [
      FlagSection(ToolOptions.connectionFlags), FlagSection(ToolTLS.flags, isInOverview: false),
      FlagSection(ToolOptions.outputFlags), FlagSection(ToolOptions.generalFlags),
    ],
    notes: [
      (
        "Environment",
        [
          "The flags above that name an environment variable can be set by it; a flag on the command line takes "
            + "precedence. A variable that begins with CONFIG_LOOKUP_ and that no program reads is reported on "
            + "standard error.",
          "CONFIG_LOOKUP_TOKEN contains the bearer token, where --token-file is not given. There is no flag for the "
            + "token itself, because other users of the machine can read the arguments of a process.",
          "NO_COLOR turns colours off where it is set and not empty, unless --color is given.",
        ]
      )
    ],
    exitStatuses: ExitStatus.all, seeAlso: ["config-lookup-server(8)"])

  static let all: [Command] = lookupCommands + operationCommands + toolCommands

  /// The headings of the overview.
  enum Group {
    static let lookups = "Lookups"
    static let operation = "Operation"
    static let tool = "This tool"
  }

  /// The common flags of a command that calls the server.
  static let clientSections = [
    ToolOptions.connectionFlags.title, ToolTLS.flags.title, ToolOptions.outputFlags.title,
    ToolOptions.generalFlags.title,
  ]
}

extension Command {
  private static let toolCommands: [Command] = [
    Command(
      description: CommandDescription(
        "completion", group: Group.tool, summary: "Print a completion script for a shell",
        usage: ["completion bash|zsh|fish"],
        description: [
          "Prints a script that makes the shell complete commands, flags and their values. The script does not run "
            + "config-lookup. \"config-lookup-server --completion SHELL\" prints the script of the server."
        ],
        arguments: [.oneOf(CompletionShell.allCases.map(\.rawValue))], sections: [ToolOptions.generalFlags.title],
        examples: [
          ("In ~/.bashrc", "source <(config-lookup completion bash)"),
          ("In ~/.zshrc, after compinit", "source <(config-lookup completion zsh)"),
          (
            "For fish, once", "config-lookup completion fish > ~/.config/fish/completions/config-lookup.fish"
          ),
        ]),
      run: runCompletion),
    Command(
      description: CommandDescription(
        "man", group: Group.tool, summary: "Print the manual page in troff", usage: ["man"],
        description: [
          "Prints config-lookup.1, which describes all commands, flags, environment variables and exit statuses. "
            + "\"config-lookup-server --man\" prints config-lookup-server.8."
        ],
        sections: [ToolOptions.generalFlags.title],
        examples: [
          ("Read the page", "config-lookup man | man -l -"),
          ("Install the page", "config-lookup man > /usr/local/share/man/man1/config-lookup.1"),
        ]),
      run: runManual),
    Command(
      description: CommandDescription(
        "help", group: Group.tool, summary: "Print the usage of a command", usage: ["help [COMMAND]"],
        description: ["Prints the usage, the flags and examples of a command, as COMMAND --help does."],
        // Completion adds the commands, which this list is part of.
        arguments: [.oneOf(commandNames)], sections: [ToolOptions.generalFlags.title],
        examples: [("Print the flags of watch", "config-lookup help watch")]),
      run: runHelp),
  ]

  /// The names of all commands, in the order of the overview.
  private static let commandNames =
    (lookupCommands + operationCommands).map(\.description.name) + ["completion", "man", "help"]
}

/// `help [COMMAND]`: prints the overview or the help text of a command.
private func runHelp(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  guard let name = words.first else {
    try StandardStreams.write(Command.program.overview + "\n")
    return ExitStatus.success
  }
  try expect(words, "COMMAND")
  try StandardStreams.write(Command.program.help(of: Command.named(name).description) + "\n")
  return ExitStatus.success
}

/// `man`: prints the manual page.
private func runManual(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words)
  try StandardStreams.write(Command.program.manualPage)
  return ExitStatus.success
}

/// `completion SHELL`: prints a completion script.
private func runCompletion(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words, "bash, zsh or fish")
  guard let shell = CompletionShell(rawValue: words[0]) else {
    throw UsageError("completion: \(notOneOf(words[0], CompletionShell.allCases.map(\.rawValue)))")
  }
  try StandardStreams.write(Command.program.completionScript(for: shell))
  return ExitStatus.success
}
