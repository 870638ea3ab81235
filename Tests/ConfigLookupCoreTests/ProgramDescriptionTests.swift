// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Testing

/// The help text, the manual page and the completion scripts of a small program.
@Suite struct ProgramDescriptionTests {
  private struct Options: Sendable {
    var file: String?
  }

  private static let common = FlagGroup<Options>(
    "Common flags",
    [
      .file("file", "The file. It is read once.", default: "none", \.file),
      Flag("quiet", "Print nothing.", hasVariable: false, .toggle { _, _ in }),
    ])

  private static let program = ProgramDescription(
    name: "my-tool", manualSection: 1, version: "1.2.3", summary: "do one thing",
    description: ["It does one thing."],
    commands: [
      CommandDescription(
        "copy", group: "Work", summary: "Copy a folder's files", usage: ["copy FOLDER [FLAG...]"],
        description: [".hidden files aren't copied."], arguments: [.directory, .oneOf(["now", "later"])],
        flags: [
          FlagDescription(
            Flag<Options>(
              "mode", "How to copy [fast: no checks].", hasVariable: false, isRepeatable: true,
              .choice(placeholder: "MODE", ["fast", "safe"]) { _, _ in }))
        ],
        sections: ["Common flags"], examples: [("Copy a folder", #"my-tool copy "a\b""#)]),
      CommandDescription(
        "end", group: "Other work", summary: "End", usage: ["end", "end --soon"], description: [], sections: [],
        examples: []),
    ],
    sections: [FlagSection(common)], notes: [("Notes", ["One.", "Two."])], exitStatuses: [(0, "Success.")],
    seeAlso: ["other(8)"])

  @Test func theOverviewListsCommandsAndCommonFlags() {
    #expect(
      Self.program.overview == """
        Usage: my-tool COMMAND [ARGUMENT...] [FLAG...]

        It does one thing.

        Work:
          copy  Copy a folder's files

        Other work:
          end   End

        Common flags:
          --file FILE  The file (default: none)
          --quiet      Print nothing

        "my-tool help COMMAND" prints the flags and examples of a command.
        "my-tool man | man -l -" shows all flags with their environment variables.
        """)
  }

  @Test func theHelpOfACommandHasItsFlagsOnly() {
    #expect(
      Self.program.help(of: Self.program.commands[0]) == #"""
        Usage: my-tool copy FOLDER [FLAG...]

        .hidden files aren't copied.

        Flags:
          --mode MODE
              How to copy [fast: no checks]. One of: fast, safe. May be repeated.

        Common flags:
          --file FILE  The file (default: none)
          --quiet      Print nothing

        Examples:
          # Copy a folder
          my-tool copy "a\b"

        "my-tool man | man -l -" shows all flags with their environment variables.
        """#)
    #expect(
      Self.program.help(of: Self.program.commands[1]) == """
        Usage:
          my-tool end
          my-tool end --soon

        "my-tool man | man -l -" shows all flags with their environment variables.
        """)
  }

  @Test func theManualPageEscapesWhatTroffInterprets() {
    let page = Self.program.manualPage
    #expect(page.hasPrefix(#".TH "MY\-TOOL" 1 "#))
    for text in [
      ".SH \"NAME\"\nmy\\-tool \\- do one thing\n", "\\fBmy\\-tool copy\\fR FOLDER [FLAG...]\n",
      ".SS \"copy\"\nCopy a folder\\(aqs files.\n.PP\n\\&.hidden files aren\\(aqt copied.\n",
      ".TP\n\\fB\\-\\-mode\\fR \\fIMODE\\fR\n", "my\\-tool copy \\(dqa\\eb\\(dq\n",
      ".TP\n\\fB\\-\\-file\\fR \\fIFILE\\fR\nThe file. It is read once.\nDefault: none.\nEnvironment variable:\n"
        + ".BR CONFIG_LOOKUP_FILE .\n",
      ".SH \"NOTES\"\nOne.\n.PP\nTwo.\n", ".TP\n\\fB0\\fR\nSuccess.\n", ".SH \"SEE ALSO\"\nother(8)\n",
    ] {
      #expect(page.contains(text), "\(page)")
    }
  }

  @Test func theScriptsHaveCommandsFlagsAndWords() {
    let bash = Self.program.completionScript(for: .bash)
    for text in [
      "_my_tool() {", "copy) words='--mode --file --quiet' ;;", "--mode) words='fast safe' ;;", "--file) paths=-f ;;",
      "copy:0) paths=-d ;;", "copy:1) words='now later' ;;", "--mode | --file) flag=$word ;;", "words='copy end'",
      "complete -F _my_tool my-tool\n",
    ] {
      #expect(bash.contains(text), "\(text) in \(bash)")
    }
    let zsh = Self.program.completionScript(for: .zsh)
    for text in [
      "#compdef my-tool\n", #"'copy:Copy a folder'\''s files'"#,
      #"'*--mode=[How to copy \[fast\: no checks\]]:MODE:(fast safe)'"#, "'--file=[The file]:FILE:_files'",
      "'1: :_files -/'", "'2: :(now later)'", "'--quiet[Print nothing]'",
    ] {
      #expect(zsh.contains(text), "\(text) in \(zsh)")
    }
    let fish = Self.program.completionScript(for: .fish)
    for text in [
      #"-a copy -d 'Copy a folder\'s files'"#, "-n '_my_tool_command copy' -l mode -x -a 'fast safe' -d 'How to",
      "-n '_my_tool_command none copy' -l file -r -F -d 'The file'", "case --mode --file\n",
      "-n '_my_tool_argument 2 copy' -a 'now later'",
    ] {
      #expect(fish.contains(text), "\(text) in \(fish)")
    }
  }

  @Test func linesBreakAtBlanks() {
    let program = ProgramDescription(
      name: "p", manualSection: 8, version: "1", summary: "s",
      description: [String(repeating: "word ", count: 40) + String(repeating: "x", count: 90)],
      sections: [], exitStatuses: [(64, "Usage error.")], seeAlso: [])
    let lines = program.help.split(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("word") }.allSatisfy { $0.count <= 80 && !$0.hasSuffix(" ") })
    #expect(lines.contains { $0.count == 90 }, "a long word has a line of its own")
    #expect(program.help.hasSuffix("Exit status:\n  64   Usage error."))
  }
}
