// SPDX-License-Identifier: Apache-2.0
/// A usage error, on the command line or in the environment: names the flag or the variable and what it should be.
public struct UsageError: Error, Sendable, CustomStringConvertible {
  /// One line, without control characters.
  public let message: String
  /// The same as ``message``.
  public var description: String { message }

  /// Makes an error. Control characters, which the message may quote, are escaped: a terminal would interpret them.
  ///
  /// - Parameter message: One line, without a full stop.
  public init(_ message: String) {
    self.message = escapingControls(message, escapesQuotes: false)
  }
}

/// What a command line contains beside the values of its flags.
public struct ParsedArguments: Sendable, Equatable {
  /// The arguments that are no flags, in order. After `--`, no argument is a flag.
  public var words: [String] = []
  /// The names of the flags that the command line sets, without dashes, in order.
  public var flags: [String] = []

  /// Makes a result.
  ///
  /// - Parameters:
  ///   - words: The arguments that are no flags.
  ///   - flags: The names of the flags, without dashes.
  public init(words: [String] = [], flags: [String] = []) {
    self.words = words
    self.flags = flags
  }
}

/// Reads flags from arguments and environment. A flag takes precedence over its variable.
public struct FlagParser<Configuration: Sendable>: Sendable {
  /// The flags by topic, in the order of the help text.
  public let groups: [FlagGroup<Configuration>]
  /// All flags, in the order of the help text.
  public let flags: [Flag<Configuration>]

  /// Makes a parser of flags without topics.
  ///
  /// - Parameter flags: The flags, in the order of the help text. No two have the same name.
  public init(flags: [Flag<Configuration>]) {
    self.init(groups: [FlagGroup("", flags)])
  }

  /// Makes a parser of flags that are grouped by topic.
  ///
  /// - Parameter groups: The groups, in the order of the help text. No two flags have the same name.
  public init(groups: [FlagGroup<Configuration>]) {
    self.groups = groups
    flags = groups.flatMap(\.flags)
  }

  /// Reads every flag into a configuration.
  ///
  /// - Parameters:
  ///   - arguments: The command line without the program's name.
  ///   - environment: The environment variables.
  ///   - configuration: Receives the values. After an error, some of them may be set.
  /// - Returns: The arguments that are no flags, in order. After `--`, no argument is a flag.
  /// - Throws: An unknown flag, or a flag or a variable whose value is missing or wrong.
  public func parse(
    _ arguments: [String], environment: [String: String], into configuration: inout Configuration
  ) throws(UsageError) -> [String] {
    try read(arguments, environment: environment, into: &configuration).words
  }

  /// Reads every flag into a configuration, and records which flags the command line sets.
  ///
  /// - Parameters:
  ///   - arguments: The command line without the program's name.
  ///   - environment: The environment variables.
  ///   - configuration: Receives the values. After an error, some of them may be set.
  /// - Returns: The arguments that are no flags, and the names of the flags.
  /// - Throws: An unknown flag, or a flag or a variable whose value is missing or wrong.
  public func read(
    _ arguments: [String], environment: [String: String], into configuration: inout Configuration
  ) throws(UsageError) -> ParsedArguments {
    for flag in flags {
      guard let variable = flag.environmentVariable, let text = environment[variable] else { continue }
      try apply(flag, text, called: variable, to: &configuration)
    }
    var parsed = ParsedArguments()
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        parsed.words += rest
        break
      }
      guard argument.hasPrefix("--") else {
        parsed.words.append(argument)
        continue
      }
      let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      // A script with CRLF line ends adds a CR to the last word of a line.
      let name = (try? WrittenText.value(String(parts[0]))) ?? String(parts[0])
      guard let flag = flags.first(where: { $0.name == name }) else { throw unknownFlag(name) }
      var text = parts.count == 2 ? String(parts[1]) : nil
      if let placeholder = flag.placeholder {
        if text == nil { text = rest.popFirst() }
        if text == nil { throw UsageError("--\(name): needs a value: --\(name) \(placeholder)") }
      }
      try apply(flag, text ?? "true", called: "--\(name)", to: &configuration)
      parsed.flags.append(name)
    }
    return parsed
  }

  /// Every flag with its variable and default, for `--help`.
  public var help: String {
    groups.map { FlagSection($0).fullText }.joined(separator: "\n\n")
  }

  private func apply(
    _ flag: Flag<Configuration>, _ text: String, called name: String, to configuration: inout Configuration
  ) throws(UsageError) {
    switch flag.reader {
    case .toggle(let set):
      let text = try writtenValue(text, called: name, wanted: "true or false")
      switch text.lowercased() {
      case "true", "1", "yes": set(true, &configuration)
      case "false", "0", "no": set(false, &configuration)
      default: throw UsageError("\(name): \(text) is neither true nor false")
      }
    case .value(let placeholder, let read):
      let text = try writtenValue(text, called: name, wanted: placeholder)
      if let problem = read(text, &configuration) { throw UsageError("\(name): \(problem)") }
    case .verbatim(_, let read):
      if let problem = read(text, &configuration) { throw UsageError("\(name): \(problem)") }
    case .choice(_, let words, let set):
      let text = try writtenValue(text, called: name, wanted: words.joined(separator: ", "))
      guard let word = words.first(where: { $0.lowercased() == text.lowercased() }) else {
        throw UsageError("\(name): \(notOneOf(text, words))")
      }
      set(word, &configuration)
    }
  }

  private func unknownFlag(_ name: String) -> UsageError {
    guard let near = nearestName(to: name, among: flags.map(\.name)) else {
      return UsageError("unknown flag --\(name); --help lists the flags")
    }
    return UsageError("unknown flag --\(name): did you mean --\(near)?")
  }
}

/// Describes a word that is none of the permitted ones, with the most similar one where there is one.
///
/// - Parameters:
///   - text: The word.
///   - words: The permitted words.
/// - Returns: `jsn is not one of text, json, yaml: did you mean json?`
public func notOneOf(_ text: String, _ words: [String]) -> String {
  let suggestion = nearestName(to: text, among: words).map { ": did you mean \($0)?" } ?? ""
  return "\(text) is not one of \(words.joined(separator: ", "))\(suggestion)"
}

/// Reads the value of a flag or an environment variable by the rule of ``WrittenText``.
///
/// An empty value is an error: a default in its place could be another database, or no credentials.
///
/// - Parameters:
///   - text: The value as it is written.
///   - name: The flag or the variable, for messages.
///   - wanted: What the value should be, for messages: `HOST:PORT`.
/// - Returns: The value without the white space around it.
/// - Throws: What is wrong, by name.
public func writtenValue(_ text: String, called name: String, wanted: String) throws(UsageError) -> String {
  let value: String
  do throws(WrittenTextProblem) {
    value = try WrittenText.value(text)
  } catch {
    throw UsageError("\(name): \(error)")
  }
  guard !value.isEmpty else { throw UsageError("\(name): is empty; give \(wanted), or leave it out for the default") }
  return value
}
