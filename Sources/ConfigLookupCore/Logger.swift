// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// Writes one line per event to standard error: a JSON object or readable text.
///
/// A line never contains text of a document or a secret. Any thread may use a logger.
public final class Logger: Sendable {
  /// The severity of an event. Events below the logger's level are not written.
  public enum Level: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    /// Returns whether `left` is less severe.
    ///
    /// - Parameters:
    ///   - left: one level.
    ///   - right: the other one.
    /// - Returns: true if `left` is less severe than `right`.
    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    /// The name of the level, e.g. `info`.
    public var name: String { "\(self)" }
  }

  /// The format of the lines: JSON for programs, text for people.
  public enum Format: String, Sendable, CaseIterable {
    case json, text
  }

  /// The value of a field beside the message.
  public enum Field: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByStringInterpolation
  {
    case string(String)
    case integer(Int64)
    case unsigned(UInt64)
    case number(Double)
    case bool(Bool)

    /// Creates a string.
    ///
    /// - Parameter value: the string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// Creates an integer.
    ///
    /// - Parameter value: the integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// Creates a Boolean.
    ///
    /// - Parameter value: the Boolean.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
  }

  /// The lowest level that is written.
  public let level: Level
  private let format: Format
  private let sink: @Sendable (String) -> Void

  /// Creates a logger.
  ///
  /// - Parameters:
  ///   - level: the lowest level that is written.
  ///   - format: the format of the lines.
  ///   - sink: receives whole lines without the newline, on the thread that logs. By default each line is written to
  ///     standard error by one `write`.
  public init(
    level: Level = .info, format: Format = .json,
    sink: @escaping @Sendable (String) -> Void = Logger.writeToStandardError
  ) {
    self.level = level
    self.format = format
    self.sink = sink
  }

  /// A logger that discards every line.
  public static let silent = Logger(level: .error, sink: { _ in })

  /// Logs an event that helps to find a fault.
  ///
  /// - Parameters:
  ///   - event: the name of the event.
  ///   - message: the message.
  ///   - fields: further fields.
  public func debug(_ event: String, _ message: String, _ fields: KeyValuePairs<String, Field> = [:]) {
    log(.debug, event, message, Array(fields))
  }

  /// Logs an event of interest to operators: a start, a stop, a reload.
  ///
  /// - Parameters:
  ///   - event: the name of the event.
  ///   - message: the message.
  ///   - fields: further fields.
  public func info(_ event: String, _ message: String, _ fields: KeyValuePairs<String, Field> = [:]) {
    log(.info, event, message, Array(fields))
  }

  /// Logs a problem that does not degrade the service.
  ///
  /// - Parameters:
  ///   - event: the name of the event.
  ///   - message: the message.
  ///   - fields: further fields.
  public func warning(_ event: String, _ message: String, _ fields: KeyValuePairs<String, Field> = [:]) {
    log(.warning, event, message, Array(fields))
  }

  /// Logs a problem that an operator should correct.
  ///
  /// - Parameters:
  ///   - event: the name of the event.
  ///   - message: the message.
  ///   - fields: further fields.
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
    // One event is one line, regardless of what a peer put into a field, and it contains no control sequence of a
    // terminal.
    return escapingControls(line, escapesQuotes: false)
  }

  private func timestamp() -> String {
    Date().formatted(.iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted))
  }

  /// Writes a line and its newline by one `write`, so that the lines of several threads do not mix.
  ///
  /// - Parameter line: the line without the newline.
  @Sendable public static func writeToStandardError(_ line: String) {
    var bytes = Array(line.utf8)
    bytes.append(UInt8(ascii: "\n"))
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// Encodes a text as a JSON string with its quotes. The result never contains a line break.
///
/// - Parameter text: any text.
/// - Returns: the JSON string.
public func quoted(_ text: String) -> String {
  "\"" + escapingControls(text, escapesQuotes: true) + "\""
}

/// Escapes the control characters of a text, e.g. ESC as `\u001b`, because a terminal interprets some of them.
///
/// - Parameter text: a text that may come from a document or a peer.
/// - Returns: a text of one line.
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
    // The other control characters, Unicode's line and paragraph separators, and the characters that change the
    // direction of writing: a line must look as it is.
    case "\0"..."\u{1f}", "\u{7f}"..."\u{9f}", "\u{2028}", "\u{2029}", "\u{200e}", "\u{200f}",
      "\u{202a}"..."\u{202e}", "\u{2066}"..."\u{2069}":
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
