// SPDX-License-Identifier: Apache-2.0
/// The shells for which a completion script can be printed.
public enum CompletionShell: String, Sendable, Hashable, CaseIterable {
  /// GNU Bash, from version 3.2.
  case bash
  /// The Z shell, with `compinit`.
  case zsh
  /// fish, from version 3.0.
  case fish
}

extension ProgramDescription {
  /// A script that makes a shell complete the commands, flags and values of this program. It does not run the program.
  ///
  /// - Parameter shell: The shell that reads the script.
  /// - Returns: The script, with a line break at the end.
  package func completionScript(for shell: CompletionShell) -> String {
    switch shell {
    case .bash: bashCompletion
    case .zsh: zshCompletion
    case .fish: fishCompletion
    }
  }

  /// The name as a shell function may have it.
  var functionName: String { "_" + name.split(separator: "-").joined(separator: "_") }

  /// The flags that take a value, with dashes.
  var valueFlags: [String] { allFlags.filter { $0.placeholder != nil }.map { "--\($0.name)" } }

  /// The flags that a command takes: its own, and those of the sections that apply to it.
  func flags(of command: CommandDescription) -> [FlagDescription] {
    command.flags + commonSections(of: command).flatMap(\.flags)
  }

  // MARK: Bash

  private var bashCompletion: String {
    let commandFlags = commands.map { command in
      "      \(command.name)) words='\(dashed(flags(of: command)))' ;;"
    }
    let values = allFlags.compactMap { flag in
      bashAction(flag.valueKind).map { "      --\(flag.name)) \($0) ;;" }
    }
    let arguments = commands.flatMap { command in
      command.arguments.enumerated().compactMap { index, kind in
        bashAction(kind).map { "      \(command.name):\(index)) \($0) ;;" }
      }
    }
    let names = commands.map(\.name).joined(separator: " ")
    return """
      # Completion of \(name) for Bash.
      \(functionName)() {
        local current=${COMP_WORDS[COMP_CWORD]} word flag='' command='' words='' paths=''
        local -i index position=0
        COMPREPLY=()
        for ((index = 1; index < COMP_CWORD; index++)); do
          word=${COMP_WORDS[index]}
          # Bash splits words at = and at : too.
          if [[ $word == = ]]; then
            [[ -n $flag ]] || index+=1
          elif [[ $word == :* ]]; then
            index+=1
          elif [[ -n $flag ]]; then
            flag=''
          else
            case $word in
              \(valueFlags.joined(separator: " | "))) flag=$word ;;
              -*) ;;
              *) if [[ -z $command ]]; then command=$word; else position+=1; fi ;;
            esac
          fi
        done
        if ((index > COMP_CWORD)) || [[ $current == :* ]]; then return; fi
        if [[ $current == = ]]; then current=''; fi
        if [[ -n $flag ]]; then
          case $flag in
      \(values.joined(separator: "\n"))
          esac
        elif [[ $current == -* ]]; then
          case $command in
      \((commandFlags + ["      *) words='\(dashed(sections.flatMap(\.flags)))' ;;"]).joined(separator: "\n"))
          esac
        elif [[ -z $command ]]; then
          words='\(names)'
        else
          case $command:$position in
      \((arguments + ["      *) ;;"]).joined(separator: "\n"))
          esac
        fi
        if [[ -n $paths ]]; then
          compopt -o filenames 2>/dev/null
          while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$paths" -- "$current")
        else
          while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$current")
        fi
      }
      complete -F \(functionName) \(name)

      """
  }

  private func dashed(_ flags: [FlagDescription]) -> String {
    flags.map { "--\($0.name)" }.joined(separator: " ")
  }

  private func bashAction(_ kind: ValueKind) -> String? {
    switch kind {
    case .text: nil
    case .file: "paths=-f"
    case .directory: "paths=-d"
    case .oneOf(let words): "words='\(words.joined(separator: " "))'"
    }
  }
}
