// SPDX-License-Identifier: Apache-2.0
extension ProgramDescription {
  /// Completion for fish: a file `NAME.fish` in a folder of `$fish_complete_path`, or a text for `source`.
  var fishCompletion: String {
    var lines = ["# Completion of \(name) for fish.", "complete -c \(name) -f"]
    guard !commands.isEmpty else {
      lines += sections.flatMap(\.flags).map { line(for: $0, condition: nil) }
      return lines.joined(separator: "\n") + "\n"
    }
    lines += functions
    for command in commands {
      lines.append(
        "complete -c \(name) -n '\(functionName)_argument 0' -a \(command.name) -d \(quoted(command.summary))")
      for (index, kind) in command.arguments.enumerated() {
        guard let action = action(kind) else { continue }
        lines.append("complete -c \(name) -n '\(functionName)_argument \(index + 1) \(command.name)' \(action)")
      }
      let condition = "\(functionName)_command \(command.name)"
      lines += command.flags.map { line(for: $0, condition: condition) }
    }
    for section in sections {
      let users = commands.filter { $0.sections.contains(section.title) }.map(\.name).joined(separator: " ")
      let condition = "\(functionName)_command none \(users)"
      lines += section.flags.map { line(for: $0, condition: condition) }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private var functions: [String] {
    [
      """
      # Prints the words of the command line that are neither flags nor their values.
      function \(functionName)_words
          set -l words (commandline -opc)
          set -e words[1]
          set -l is_value false
          for word in $words
              if test $is_value = true
                  set is_value false
                  continue
              end
              switch $word
                  case \(valueFlags.joined(separator: " "))
                      set is_value true
                  case '-*'
                  case '*'
                      echo $word
              end
          end
      end
      # Whether the command is one of the arguments, or missing where one of them is "none".
      function \(functionName)_command
          set -l words (\(functionName)_words) none
          contains -- $words[1] $argv
      end
      # Whether the next word is the one of this index, from 0, and the command is the second argument, if there is one.
      function \(functionName)_argument
          set -l words (\(functionName)_words)
          test (count $words) -eq $argv[1]
          and begin
              test (count $argv) -eq 1
              or test $words[1] = $argv[2]
          end
      end
      """
    ]
  }

  private func line(for flag: FlagDescription, condition: String?) -> String {
    var line = "complete -c \(name)" + (condition.map { " -n '\($0)'" } ?? "") + " -l \(flag.name)"
    if flag.placeholder != nil { line += flag.valueKind == .file ? " -r" : " -x" }
    if let action = action(flag.valueKind) { line += " \(action)" }
    return line + " -d \(quoted(flag.summary))"
  }

  private func action(_ kind: ValueKind) -> String? {
    switch kind {
    case .text: nil
    case .file: "-F"
    case .directory: "-a '(__fish_complete_directories)'"
    case .oneOf(let words): "-a '\(words.joined(separator: " "))'"
    }
  }

  private func quoted(_ text: String) -> String {
    var result = "'"
    for character in text {
      if character == "'" || character == "\\" { result += "\\" }
      result.append(character)
    }
    return result + "'"
  }
}
