// SPDX-License-Identifier: Apache-2.0
extension ProgramDescription {
  /// A completion function for zsh: a file `_NAME` in a folder of `$fpath`, or a text for `source`.
  var zshCompletion: String {
    let common = sections.flatMap(\.flags).map { "    \(specification(of: $0))" }
    let body = commands.isEmpty ? "  _arguments \\\n\(joined(common))" : withCommands(common)
    return """
      #compdef \(name)
      # Completion of \(name) for zsh.

      \(functionName)() {
      \(body)
      }

      if [[ ${funcstack[1]} == _\(name) ]]; then
        \(functionName) "$@"
      else
        compdef \(functionName) \(name)
      fi

      """
  }

  private func withCommands(_ common: [String]) -> String {
    let names = commands.map { "    \(quoted("\(escaped($0.name)):\($0.summary)"))" }
    let branches = commands.map { command in
      let positions = command.arguments.enumerated().map { index, kind in
        "\(index + 1): :\(action(kind))"
      }
      let specifications =
        (flags(of: command).map(specification) + positions.map { quoted($0) } + ["'*: : '"]).map { "        \($0)" }
      return "    \(command.name))\n      _arguments \\\n\(joined(specifications))\n      ;;"
    }
    return """
        local curcontext="$curcontext" state line ret=1
        typeset -A opt_args
        local -a commands=(
      \(names.joined(separator: "\n"))
        )
        _arguments -C \\
      \(joined(common + ["    '1: :->command'", "    '*::: :->argument'"])) && ret=0
        case $state in
          command) _describe -t commands command commands && ret=0 ;;
          argument)
            words=("$line[1]" "${words[@]}")
            ((CURRENT += 1))
            curcontext="${curcontext%:*:*}:\(name)-$line[1]:"
            case $line[1] in
      \(branches.joined(separator: "\n"))
            esac && ret=0
            ;;
        esac
        return ret
      """
  }

  /// Lines of one command.
  private func joined(_ lines: [String]) -> String { lines.joined(separator: " \\\n") }

  /// The flag as `_arguments` takes it.
  private func specification(of flag: FlagDescription) -> String {
    let name = (flag.isRepeatable ? "*" : "") + "--\(flag.name)"
    let help = "[\(escaped(flag.summary, bracketed: true))]"
    guard let placeholder = flag.placeholder else { return quoted(name + help) }
    return quoted("\(name)=\(help):\(escaped(placeholder)):\(action(flag.valueKind))")
  }

  private func action(_ kind: ValueKind) -> String {
    switch kind {
    case .text: " "
    case .file: "_files"
    case .directory: "_files -/"
    case .oneOf(let words): "(\(words.joined(separator: " ")))"
    }
  }

  private func escaped(_ text: String, bracketed: Bool = false) -> String {
    var result = ""
    for character in text {
      if character == "\\" || character == ":" || bracketed && (character == "[" || character == "]") { result += "\\" }
      result.append(character)
    }
    return result
  }

  private func quoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
  }
}
