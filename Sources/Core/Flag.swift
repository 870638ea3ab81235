/// A flag of the command line, with its environment variable: how it is written, what it means, how it is read.
public struct Flag<Configuration>: Sendable {
  /// How the flag takes its value.
  public enum Reader: Sendable {
    /// Takes a value; answers what is wrong with it, or nil.
    case value(placeholder: String, @Sendable (String, inout Configuration) -> String?)
    /// Takes none.
    case toggle(@Sendable (Bool, inout Configuration) -> Void)
  }

  /// `mongodb-uri`
  public let name: String
  public let help: String
  public let defaultText: String?
  public let reader: Reader
  /// Whether it has an environment variable.
  private let hasVariable: Bool

  /// A flag without dashes in front of its name; `defaultText` is for the help only.
  public init(
    _ name: String, _ help: String, default defaultText: String? = nil, hasVariable: Bool = true, _ reader: Reader
  ) {
    self.name = name
    self.hasVariable = hasVariable
    self.help = help
    self.defaultText = defaultText
    self.reader = reader
  }

  /// `CONFIG_LOOKUP_MONGODB_URI`
  public var environmentVariable: String? {
    guard hasVariable else { return nil }
    return "CONFIG_LOOKUP_" + name.uppercased().split(separator: "-").joined(separator: "_")
  }
}

/// A mistake on the command line or in the environment: names the flag or variable, and says what would be right.
public struct UsageError: Error, Sendable, CustomStringConvertible {
  public let message: String
  public var description: String { message }

  public init(_ message: String) {
    self.message = message
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
      let name = String(parts[0])
      guard let flag = flags.first(where: { $0.name == name }) else {
        throw UsageError("--\(name): no such flag\(hint(name)); --help lists them")
      }
      var text = parts.count == 2 ? String(parts[1]) : nil
      switch flag.reader {
      case .toggle: text = text ?? "true"
      case .value(let placeholder, _):
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
      if case .value(let placeholder, _) = flag.reader { head += " \(placeholder)" }
      let note = flag.defaultText.map { " (default: \($0))" } ?? ""
      return "\(head)\n      \(flag.help)\(note)" + (flag.environmentVariable.map { "\n      \($0)" } ?? "")
    }.joined(separator: "\n")
  }

  private func apply(
    _ flag: Flag<Configuration>, _ text: String, called name: String, to configuration: inout Configuration
  ) throws(UsageError) {
    switch flag.reader {
    case .toggle(let set):
      switch text.lowercased() {
      case "true", "1", "yes": set(true, &configuration)
      case "false", "0", "no", "": set(false, &configuration)
      default: throw UsageError("\(name): \(text) is neither true nor false")
      }
    case .value(_, let read):
      if let problem = read(text, &configuration) { throw UsageError("\(name): \(problem)") }
    }
  }

  private func hint(_ name: String) -> String {
    let near = flags.first { $0.name.hasPrefix(name) || name.hasPrefix($0.name) }
    return near.map { " (did you mean --\($0.name)?)" } ?? ""
  }
}
