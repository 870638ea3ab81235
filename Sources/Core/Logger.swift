internal import FoundationEssentials
internal import Glibc

/// One line per event on standard error: a JSON object, or readable text.
///
/// Never a document's text, never a secret. Any thread.
public final class Logger: Sendable {
  /// How much an event matters; those below the logger's level are not written.
  public enum Level: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    public var name: String { "\(self)" }
  }

  /// JSON for machines, text for people.
  public enum Format: String, Sendable, CaseIterable {
    case json, text
  }

  /// A value beside the message.
  public enum Field: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByStringInterpolation
  {
    case string(String)
    case integer(Int64)
    case unsigned(UInt64)
    case number(Double)
    case bool(Bool)

    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
  }

  public let level: Level
  private let format: Format
  private let sink: @Sendable (String) -> Void

  /// `sink` takes whole lines, without the newline; the default writes them to standard error, each by one `write`.
  public init(
    level: Level = .info, format: Format = .json,
    sink: @escaping @Sendable (String) -> Void = Logger.writeToStandardError
  ) {
    self.level = level
    self.format = format
    self.sink = sink
  }

  /// Throws every line away.
  public static let silent = Logger(level: .error, sink: { _ in })

  /// For whoever looks for a fault.
  public func debug(_ event: String, _ message: String, _ fields: KeyValuePairs<String, Field> = [:]) {
    log(.debug, event, message, Array(fields))
  }

  /// What an operator may want to know: starts, stops, reloads.
  public func info(_ event: String, _ message: String, _ fields: KeyValuePairs<String, Field> = [:]) {
    log(.info, event, message, Array(fields))
  }

  /// Something is wrong, and we go on as well as before.
  public func warning(_ event: String, _ message: String, _ fields: KeyValuePairs<String, Field> = [:]) {
    log(.warning, event, message, Array(fields))
  }

  /// Something is wrong that somebody should see to.
  public func error(_ event: String, _ message: String, _ fields: KeyValuePairs<String, Field> = [:]) {
    log(.error, event, message, Array(fields))
  }

  func log(_ level: Level, _ event: String, _ message: String, _ fields: [(key: String, value: Field)]) {
    guard level >= self.level else { return }
    sink(format == .json ? jsonLine(level, event, message, fields) : textLine(level, event, message, fields))
  }

  private func jsonLine(
    _ level: Level, _ event: String, _ message: String, _ fields: [(key: String, value: Field)]
  ) -> String {
    var line = "{\"time\":\"\(timestamp())\",\"level\":\"\(level.name)\",\"event\":\(quoted(event))"
    line += ",\"message\":\(quoted(message))"
    for (name, field) in fields {
      line += ",\(quoted(name)):"
      switch field {
      case .string(let value): line += quoted(value)
      case .integer(let value): line += "\(value)"
      case .unsigned(let value): line += "\(value)"
      case .number(let value): line += value.isFinite ? "\(value)" : "null"
      case .bool(let value): line += "\(value)"
      }
    }
    return line + "}"
  }

  private func textLine(
    _ level: Level, _ event: String, _ message: String, _ fields: [(key: String, value: Field)]
  ) -> String {
    var line = "\(timestamp()) \(level.name) \(event): \(message)"
    for (name, field) in fields {
      switch field {
      case .string(let value):
        line += " \(name)=\(value.contains(where: { $0 == " " || $0 == "\"" }) ? quoted(value) : value)"
      case .integer(let value): line += " \(name)=\(value)"
      case .unsigned(let value): line += " \(name)=\(value)"
      case .number(let value): line += " \(name)=\(value)"
      case .bool(let value): line += " \(name)=\(value)"
      }
    }
    // One event, one line, whatever a peer put into a field; and nothing that a terminal takes for a command.
    return escapingControls(line, escapesQuotes: false)
  }

  private func timestamp() -> String {
    Date().formatted(.iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted))
  }

  /// The line and its newline by one `write`, so that the lines of several threads do not mix.
  @Sendable public static func writeToStandardError(_ line: String) {
    var bytes = Array(line.utf8)
    bytes.append(UInt8(ascii: "\n"))
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// A JSON string, quotes and all: one line by anybody's rules.
public func quoted(_ text: String) -> String {
  "\"" + escapingControls(text, escapesQuotes: true) + "\""
}

/// The text with its control characters escaped, as `\u001b` for ESC: for a terminal, which takes some for commands.
///
/// - Parameter text: What may have come from a document or a peer.
/// - Returns: One line.
public func escapingControls(_ text: String) -> String {
  escapingControls(text, escapesQuotes: false)
}

func escapingControls(_ text: String, escapesQuotes: Bool) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"" where escapesQuotes: result += "\\\""
    case "\\" where escapesQuotes: result += "\\\\"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    // The other controls, what Unicode has for a new line and a new paragraph, and what turns the direction of writing:
    // a line must read as it is.
    case "\0"..."\u{1f}", "\u{7f}"..."\u{9f}", "\u{2028}", "\u{2029}", "\u{200e}", "\u{200f}",
      "\u{202a}"..."\u{202e}", "\u{2066}"..."\u{2069}":
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
