// SPDX-License-Identifier: Apache-2.0
/// The rule for text that people write: flags, environment variables and settings files.
///
/// 1. Text is UTF-8. A byte order mark at its start is removed.
/// 2. A line ends with LF, CRLF or CR.
/// 3. White space around a value is removed: blanks, tabs, line ends and all other white space of Unicode.
/// 4. A control character inside a value is an error, including NUL and a line end. A NUL anywhere in a file is an
///    error.
///
/// The functions read Unicode scalars, because for Swift CRLF is one `Character`, which equals neither CR nor LF.
public enum WrittenText {
  /// Reads a value of one line, from a flag or an environment variable.
  ///
  /// - Parameter text: the text as it was written.
  /// - Returns: the value; empty if there is nothing but white space.
  /// - Throws: a description of the problem. It does not repeat the text, which may be a secret.
  public static func value(_ text: String) throws(WrittenTextProblem) -> String {
    var scalars = Substring(text).unicodeScalars
    while let first = scalars.first, first.isAround { scalars.removeFirst() }
    while let last = scalars.last, last.isAround { scalars.removeLast() }
    for scalar in scalars {
      if scalar == replacement { throw WrittenTextProblem("is not valid UTF-8") }
      if scalar.isLineEnd { throw WrittenTextProblem("contains a line break; give one line") }
      if scalar.properties.generalCategory == .control { throw WrittenTextProblem("contains \(scalar.name)") }
    }
    return String(scalars)
  }

  /// Reads a value of one line from the bytes of a file.
  ///
  /// - Parameter bytes: the bytes of the file.
  /// - Returns: the value; empty if there is nothing but white space.
  /// - Throws: a description of the problem. It does not repeat the bytes.
  public static func value(_ bytes: [UInt8]) throws(WrittenTextProblem) -> String {
    try value(text(bytes))
  }

  /// Reads the lines of a file, each without its line end and without surrounding white space.
  ///
  /// - Parameter bytes: the bytes of the file.
  /// - Returns: all lines, including empty ones, so that an index is a line number minus one. A line may contain tabs.
  /// - Throws: a description of the problem, with the number of the line.
  public static func lines(_ bytes: [UInt8]) throws(WrittenTextProblem) -> [String] {
    var lines: [String] = []
    let text = try text(bytes)
    for line in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
      var scalars = line
      while let first = scalars.first, first.isAround { scalars.removeFirst() }
      while let last = scalars.last, last.isAround { scalars.removeLast() }
      if let scalar = scalars.first(where: { $0.properties.generalCategory == .control && $0 != "\t" }) {
        throw WrittenTextProblem("line \(lines.count + 1) contains \(scalar.name)")
      }
      lines.append(String(scalars))
    }
    return lines
  }

  /// Decodes the bytes of a file, without a byte order mark, and with LF as the only line end.
  ///
  /// - Parameter bytes: the bytes of the file.
  /// - Returns: the text.
  /// - Throws: a description of the problem: another encoding, or a NUL.
  public static func text(_ bytes: [UInt8]) throws(WrittenTextProblem) -> String {
    if bytes.starts(with: [0xff, 0xfe]) || bytes.starts(with: [0xfe, 0xff]) {
      throw WrittenTextProblem("is UTF-16; save it as UTF-8")
    }
    if bytes.contains(0) { throw WrittenTextProblem("contains a NUL character; save it as UTF-8 text") }
    var rest = withoutByteOrderMark(bytes)
    var unified: [UInt8] = []
    unified.reserveCapacity(rest.count)
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\r") {
        if rest.first == UInt8(ascii: "\n") { rest.removeFirst() }
        unified.append(UInt8(ascii: "\n"))
      } else {
        unified.append(byte)
      }
    }
    guard let text = String(validating: unified, as: UTF8.self) else { throw WrittenTextProblem("is not valid UTF-8") }
    return text
  }

  /// Removes the UTF-8 byte order mark from the start of a file's bytes.
  ///
  /// - Parameter bytes: the bytes of the file.
  /// - Returns: the bytes after the mark.
  public static func withoutByteOrderMark(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...]
  }

  /// The character by which Swift replaces invalid UTF-8 in arguments and environment variables.
  private static let replacement: Unicode.Scalar = "\u{fffd}"
}

/// The reason why a text that people wrote is invalid. It continues a sentence that begins with the name of the text.
public struct WrittenTextProblem: Error, Sendable, CustomStringConvertible {
  /// The reason.
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}

extension Unicode.Scalar {
  /// Whether the character is removed at the start and end of a value.
  fileprivate var isAround: Bool { properties.isWhitespace || self == "\u{feff}" }

  fileprivate var isLineEnd: Bool {
    switch self {
    case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": true
    default: false
    }
  }

  /// The name of a control character for messages.
  fileprivate var name: String {
    if self == "\0" { return "a NUL character" }
    let digits = String(value, radix: 16, uppercase: true)
    return "the control character U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }
}
