// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Glibc
internal import ProtobufMessages

/// The form of what a command prints.
enum OutputFormat: String, CaseIterable {
  /// Text for people: tables, and values by line.
  case text
  /// One JSON object per line.
  case json
  /// One YAML document per object.
  case yaml
}

/// When text output is coloured.
enum ColorMode: String, CaseIterable {
  /// On a terminal, unless `NO_COLOR` or `TERM=dumb` is set.
  case auto
  /// Also in pipes and files.
  case always
  /// Not at all.
  case never
}

/// The colours of text output, where they are on.
struct Style: Sendable {
  /// A rendition by the numbers of ECMA-48, SGR.
  enum Rendition: Int {
    case bold = 1
    case red = 31
    case green = 32
    case yellow = 33
  }

  /// Whether texts are coloured.
  let isOn: Bool

  /// No colours.
  static let plain = Style(isOn: false)

  private init(isOn: Bool) {
    self.isOn = isOn
  }

  /// Decides about colours. A flag takes precedence over `NO_COLOR`, which turns them off where it is not empty.
  ///
  /// https://no-color.org
  ///
  /// - Parameters:
  ///   - mode: The value of `--color`.
  ///   - environment: The environment variables.
  ///   - isTerminal: Whether standard output is a terminal.
  init(_ mode: ColorMode, environment: [String: String], isTerminal: Bool) {
    switch mode {
    case .always: isOn = true
    case .never: isOn = false
    case .auto: isOn = isTerminal && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
    }
  }

  /// A text in a rendition; the text as it is where colours are off.
  func callAsFunction(_ text: String, _ rendition: Rendition?) -> String {
    guard isOn, let rendition, !text.isEmpty else { return text }
    return "\u{1b}[\(rendition.rawValue)m\(text)\u{1b}[0m"
  }
}

/// Writes a line to standard output at once, so that the reader of a pipe gets each line when it is printed. Control
/// characters, which documents and servers may have put into the line, are escaped.
///
/// - Throws: ``OutputProblem`` when the line cannot be written.
func printLine(_ text: String) throws(OutputProblem) {
  try StandardStreams.write(escapingControls(text) + "\n")
}

/// Writes an error of the server to standard error: as a line of text, or as an object of JSON or YAML.
///
/// - Parameters:
///   - status: The status of the call.
///   - format: The format of the output.
func printError(_ status: RPCStatus, _ format: OutputFormat) {
  guard format != .text else { return printError("\(status)") }
  var fields: [(name: String, value: MessageTree)] = [
    ("code", .text(status.code.name)), ("message", .text(status.message)),
  ]
  if let details = status.details {
    if !details.reason.isEmpty { fields += [("reason", .text(details.reason)), ("domain", .text(details.domain))] }
    if !details.metadata.isEmpty {
      let pairs = details.metadata.sorted { $0.key < $1.key }
      fields.append(("metadata", .object(pairs.map { (name: $0.key, value: .text($0.value)) })))
    }
    if !details.violations.isEmpty {
      let violations = details.violations.map {
        MessageTree.object([("field", .text($0.field)), ("description", .text($0.problem))])
      }
      fields.append(("field_violations", .list(violations)))
    }
    if let delay = details.retryDelayMilliseconds { fields.append(("retry_delay_ms", .number("\(delay)"))) }
  }
  let tree = MessageTree.object([("error", .object(fields))])
  let text = format == .json ? MessagePrinter().json(tree) : String(MessagePrinter().yaml(tree).dropLast())
  Logger.writeToStandardError(text)
}

/// Writes a line to standard error, with the name of the program in front. Control characters are escaped.
func printError(_ message: String) {
  Logger.writeToStandardError("config-lookup: \(escapingControls(message))")
}

extension ToolOptions {
  /// Prints a message as JSON or YAML.
  ///
  /// - Parameters:
  ///   - message: Any generated message.
  ///   - includesDefaults: Whether fields that are zero or empty are printed.
  /// - Returns: Whether it was printed; false where text is wanted, which the command prints itself.
  /// - Throws: ``OutputProblem`` when it cannot be written.
  func printStructured<Message>(
    _ message: UnsafePointer<Message>, includesDefaults: Bool = false
  ) throws(OutputProblem) -> Bool {
    let printer = MessagePrinter(includesDefaults: includesDefaults)
    switch output {
    case .text: return false
    case .json: try printLine(printer.json(message))
    case .yaml: try StandardStreams.write(printer.yaml(message))
    }
    return true
  }

  /// Prints fields as one object of JSON or YAML.
  ///
  /// - Returns: Whether they were printed; false where text is wanted.
  /// - Throws: ``OutputProblem`` when they cannot be written.
  func printStructured(_ fields: [(name: String, value: MessageTree)]) throws(OutputProblem) -> Bool {
    switch output {
    case .text: return false
    case .json: try printLine(MessagePrinter().json(.object(fields)))
    case .yaml: try StandardStreams.write(MessagePrinter().yaml(.object(fields)))
    }
    return true
  }
}

/// Text of a document on a terminal: control characters and those that turn the direction of text are replaced.
func safe(_ text: String) -> String {
  String(
    String.UnicodeScalarView(
      text.unicodeScalars.map {
        $0.properties.generalCategory == .control || $0.properties.isBidiControl ? "\u{FFFD}" : $0
      }))
}
