/// A flag of the command line, with its environment variable: how it is written, what it means, how it is read.
public struct Flag<Configuration>: Sendable {
  /// How the flag takes its value.
  public enum Reader: Sendable {
    /// Takes a value by the rule of ``WrittenText``, never an empty one; returns what is wrong with it, or nil.
    case value(placeholder: String, @Sendable (String, inout Configuration) -> String?)
    /// Takes a value exactly as it is written, since it is data: a key may begin with a blank. Returns what is wrong
    /// with it, or nil.
    case verbatim(placeholder: String, @Sendable (String, inout Configuration) -> String?)
    /// Takes none.
    case toggle(@Sendable (Bool, inout Configuration) -> Void)
  }

  /// `mongodb-uri`
  public let name: String
  public let help: String
  public let defaultText: String?
  public let reader: Reader
  /// `CONFIG_LOOKUP_MONGODB_URI`; nil: it has none.
  public let environmentVariable: String?

  /// A flag without dashes in front of its name; `defaultText` is for the help only.
  ///
  /// - Parameter variable: its environment variable, where that is not made of the flag's name.
  public init(
    _ name: String, _ help: String, default defaultText: String? = nil, hasVariable: Bool = true,
    variable: String? = nil, _ reader: Reader
  ) {
    self.name = name
    let usual = "CONFIG_LOOKUP_" + name.uppercased().split(separator: "-").joined(separator: "_")
    environmentVariable = hasVariable ? variable ?? usual : nil
    self.help = help
    self.defaultText = defaultText
    self.reader = reader
  }
}

/// A mistake on the command line or in the environment: names the flag or variable, and says what would be right.
public struct UsageError: Error, Sendable, CustomStringConvertible {
  public let message: String
  public var description: String { message }

  /// Control characters, which the message may quote, are escaped: a terminal must not take them for commands.
  public init(_ message: String) {
    self.message = escapingControls(message, escapesQuotes: false)
  }
}

/// Reads flags from arguments and environment: a flag wins over its variable.
public struct FlagParser<Configuration: Sendable>: Sendable {
  public let flags: [Flag<Configuration>]

  public init(flags: [Flag<Configuration>]) {
    self.flags = flags
  }

  /// Reads every flag into `configuration`, and gives the arguments that are no flags, in order. After `--`, none is.
  public func parse(
    _ arguments: [String], environment: [String: String], into configuration: inout Configuration
  ) throws(UsageError) -> [String] {
    for flag in flags {
      guard let variable = flag.environmentVariable, let text = environment[variable] else { continue }
      try apply(flag, text, called: variable, to: &configuration)
    }
    var positional: [String] = []
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" { return positional + rest }
      guard argument.hasPrefix("--") else {
        positional.append(argument)
        continue
      }
      let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      // A script with CRLF line ends adds a CR to the last word of a line.
      let name = (try? WrittenText.value(String(parts[0]))) ?? String(parts[0])
      guard let flag = flags.first(where: { $0.name == name }) else {
        throw UsageError("--\(name): no such flag\(hint(name)); --help lists them")
      }
      var text = parts.count == 2 ? String(parts[1]) : nil
      switch flag.reader {
      case .toggle: text = text ?? "true"
      case .value(let placeholder, _), .verbatim(let placeholder, _):
        if text == nil { text = rest.popFirst() }
        if text == nil { throw UsageError("--\(name): needs a value: --\(name) \(placeholder)") }
      }
      try apply(flag, text ?? "", called: "--\(name)", to: &configuration)
    }
    return positional
  }

  /// Every flag with its variable and default, for `--help`.
  public var help: String {
    flags.map { flag in
      var head = "  --\(flag.name)"
      switch flag.reader {
      case .value(let placeholder, _), .verbatim(let placeholder, _): head += " \(placeholder)"
      case .toggle: break
      }
      let note = flag.defaultText.map { " (default: \($0))" } ?? ""
      return "\(head)\n      \(flag.help)\(note)" + (flag.environmentVariable.map { "\n      \($0)" } ?? "")
    }.joined(separator: "\n")
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
    }
  }

  private func hint(_ name: String) -> String {
    nearestName(to: name, among: flags.map(\.name)).map { " (did you mean --\($0)?)" } ?? ""
  }
}

/// Reads the value of a flag or an environment variable by the rule of ``WrittenText``.
///
/// An empty value is an error: a default in its place could be another database, or no credentials.
///
/// - Parameters:
///   - name: The flag or the variable, for messages.
///   - wanted: What the value should be, for messages: `HOST:PORT`.
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
