// SPDX-License-Identifier: Apache-2.0
/// A flag of a command line and its environment variable: its syntax, its help text, and how its value is read.
public struct Flag<Configuration>: Sendable {
  /// How the flag takes its value.
  public enum Reader: Sendable {
    /// Takes a value by the rule of ``WrittenText``, never an empty one. The function returns what is wrong with the
    /// value, or nil.
    case value(placeholder: String, @Sendable (String, inout Configuration) -> String?)
    /// Takes a value exactly as it is written, because it is data: a key may begin with a blank. The function returns
    /// what is wrong with the value, or nil.
    case verbatim(placeholder: String, @Sendable (String, inout Configuration) -> String?)
    /// Takes one of the listed words, in any case. The function receives the word as it is listed.
    case choice(placeholder: String, [String], @Sendable (String, inout Configuration) -> Void)
    /// Takes no value, or `=true` or `=false`.
    case toggle(@Sendable (Bool, inout Configuration) -> Void)
  }

  /// The name without dashes: `mongodb-uri`.
  public let name: String
  /// What the flag does, with the unit of its value: complete sentences, of which the first stands alone in lists.
  public let help: String
  /// The default, for the help text; nil where there is none.
  public let defaultText: String?
  /// How the flag takes its value.
  public let reader: Reader
  /// What the value is, for completion.
  public let valueKind: ValueKind
  /// Whether each occurrence of the flag adds a value instead of replacing the one before.
  public let isRepeatable: Bool
  /// The environment variable that sets the same value: `CONFIG_LOOKUP_MONGODB_URI`; nil where there is none.
  public let environmentVariable: String?

  /// Describes a flag.
  ///
  /// - Parameters:
  ///   - name: The name without dashes.
  ///   - help: Complete sentences with full stops.
  ///   - defaultText: The default, for the help text only.
  ///   - hasVariable: Whether the flag has an environment variable.
  ///   - variable: The environment variable, where its name is not derived from the flag's name.
  ///   - kind: What the value is, for completion. The words of a choice are known without it.
  ///   - isRepeatable: Whether each occurrence adds a value.
  ///   - reader: How the flag takes its value.
  public init(
    _ name: String, _ help: String, default defaultText: String? = nil, hasVariable: Bool = true,
    variable: String? = nil, kind: ValueKind = .text, isRepeatable: Bool = false, _ reader: Reader
  ) {
    self.name = name
    let derived = "CONFIG_LOOKUP_" + name.uppercased().split(separator: "-").joined(separator: "_")
    environmentVariable = hasVariable ? variable ?? derived : nil
    self.help = help
    self.defaultText = defaultText
    self.reader = reader
    self.isRepeatable = isRepeatable
    if case .choice(_, let words, _) = reader { valueKind = .oneOf(words) } else { valueKind = kind }
  }

  /// Describes a flag whose value is the path of a file.
  ///
  /// - Parameters:
  ///   - name: The name without dashes.
  ///   - help: Complete sentences with full stops.
  ///   - defaultText: The default, for the help text only.
  ///   - variable: The environment variable, where its name is not derived from the flag's name.
  ///   - place: Where the path is stored.
  /// - Returns: The flag.
  public static func file(
    _ name: String, _ help: String, default defaultText: String? = nil, variable: String? = nil,
    _ place: any WritableKeyPath<Configuration, String?> & Sendable
  ) -> Flag {
    Flag(
      name, help, default: defaultText, variable: variable, kind: .file,
      .value(placeholder: "FILE") {
        $1[keyPath: place] = $0
        return nil
      })
  }

  /// The placeholder of the value in usage lines; nil for a toggle.
  public var placeholder: String? {
    switch reader {
    case .value(let placeholder, _), .verbatim(let placeholder, _), .choice(let placeholder, _, _): placeholder
    case .toggle: nil
    }
  }
}

/// What the value of a flag or an argument is, for completion in shells.
public enum ValueKind: Sendable, Hashable {
  /// Text that no program can guess.
  case text
  /// The path of a file.
  case file
  /// The path of a directory.
  case directory
  /// One of these words.
  case oneOf([String])
}

/// Flags with a common topic.
public struct FlagGroup<Configuration>: Sendable {
  /// The heading in the help text; empty for none.
  public let title: String
  /// The flags, in the order of the help text.
  public let flags: [Flag<Configuration>]

  /// Groups flags under a heading.
  ///
  /// - Parameters:
  ///   - title: The heading in the help text; empty for none.
  ///   - flags: The flags, in the order of the help text.
  public init(_ title: String, _ flags: [Flag<Configuration>]) {
    self.title = title
    self.flags = flags
  }
}
