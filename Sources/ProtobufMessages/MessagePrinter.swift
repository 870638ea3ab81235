// SPDX-License-Identifier: Apache-2.0
/// Formats any protobuf-c message by its descriptor: as JSON for programs, or as text for people.
///
/// In neither form can text of a document control the terminal: control characters, and characters that change the
/// direction of text, are escaped.
public struct MessagePrinter: Sendable {
  /// Whether fields with their default value, zero or empty, are printed.
  public var includesDefaults: Bool

  /// Creates a printer.
  ///
  /// - Parameter includesDefaults: whether fields with their default value are printed.
  public init(includesDefaults: Bool = false) {
    self.includesDefaults = includesDefaults
  }

  /// Formats a message as one line of proto3's JSON, with the field names of the .proto file. Bytes are printed as
  /// text, because the generated C represents every string as bytes.
  ///
  /// https://protobuf.dev/programming-guides/json/
  ///
  /// - Parameter message: a generated protobuf-c message.
  /// - Returns: the JSON text.
  public func json<Message>(_ message: UnsafePointer<Message>) -> String {
    var out = ""
    appendJSON(MessageReader(includesDefaults: includesDefaults).tree(of: UnsafeRawPointer(message)), to: &out)
    return out
  }

  /// Formats a message as indented text: `name: value`. Strings of several lines are printed as lines, and JSON in
  /// strings is indented.
  ///
  /// - Parameter message: a generated protobuf-c message.
  /// - Returns: the text, which ends with a line break unless it is empty.
  public func text<Message>(_ message: UnsafePointer<Message>) -> String {
    let tree = MessageReader(includesDefaults: includesDefaults).tree(of: UnsafeRawPointer(message))
    var out = ""
    if case .object(let fields) = tree {
      appendText(fields, indent: 0, to: &out)
    } else {
      appendText(value: tree, indent: 0, to: &out)
    }
    return out
  }

  // MARK: JSON

  func appendJSON(_ tree: MessageTree, to out: inout String) {
    switch tree {
    case .text(let text), .json(let text), .longNumber(let text): out += quotedJSON(text)
    case .number(let text): out += text
    case .bool(let bool): out += bool ? "true" : "false"
    case .list(let elements):
      out += "["
      for (index, element) in elements.enumerated() {
        if index > 0 { out += "," }
        appendJSON(element, to: &out)
      }
      out += "]"
    case .object(let fields):
      out += "{"
      for (index, field) in fields.enumerated() {
        if index > 0 { out += "," }
        out += quotedJSON(field.name) + ":"
        appendJSON(field.value, to: &out)
      }
      out += "}"
    }
  }

  // MARK: Text

  private func appendText(_ fields: [(name: String, value: MessageTree)], indent: Int, to out: inout String) {
    for (index, field) in fields.enumerated() {
      // The first field of a list element follows the element's dash.
      if index > 0 || !out.hasSuffix("- ") { out += spaces(indent) }
      out += shown(field.name) + ":"
      appendText(value: field.value, indent: indent, to: &out)
    }
  }

  /// Appends the text after the colon, with its line break.
  private func appendText(value: MessageTree, indent: Int, to out: inout String) {
    switch value {
    case .number(let text), .longNumber(let text): out += " \(text)\n"
    case .bool(let bool): out += bool ? " true\n" : " false\n"
    case .text(let text): appendText(text.isEmpty ? ["\"\""] : lines(of: text), indent: indent, to: &out)
    case .json(let text): appendText(laidOutJSON(text), indent: indent, to: &out)
    case .list(let elements):
      if elements.isEmpty { out += " []" }
      out += "\n"
      for element in elements {
        out += spaces(indent + 2) + "-"
        if case .object(let fields) = element, !fields.isEmpty {
          out += " "
          appendText(fields, indent: indent + 4, to: &out)
        } else {
          appendText(value: element, indent: indent + 2, to: &out)
        }
      }
    case .object(let fields):
      out += fields.isEmpty ? " {}\n" : "\n"
      appendText(fields, indent: indent + 2, to: &out)
    }
  }

  private func appendText(_ lines: [String], indent: Int, to out: inout String) {
    if lines.count == 1 {
      out += " \(lines[0])\n"
      return
    }
    out += " |\n"
    for line in lines { out += line.isEmpty ? "\n" : spaces(indent + 2) + line + "\n" }
  }

  private func lines(of text: String) -> [String] {
    text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      shown(String(String.UnicodeScalarView(line)))
    }
  }

  private func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }
}

/// Encodes a JSON string with its quotes.
func quotedJSON(_ text: String) -> String {
  var out = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": out += "\\\""
    case "\\": out += "\\\\"
    case "\n": out += "\\n"
    case "\r": out += "\\r"
    case "\t": out += "\\t"
    default:
      if isUnsafe(scalar) {
        let digits = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      } else {
        out.unicodeScalars.append(scalar)
      }
    }
  }
  return out + "\""
}

/// Returns a line for a terminal: characters that could control it are printed as `\u{1b}`. A tab is kept.
private func shown(_ text: String) -> String {
  guard text.unicodeScalars.contains(where: { isUnsafe($0) && $0 != "\t" }) else { return text }
  var out = ""
  for scalar in text.unicodeScalars {
    if isUnsafe(scalar), scalar != "\t" {
      out += "\\u{" + String(scalar.value, radix: 16) + "}"
    } else {
      out.unicodeScalars.append(scalar)
    }
  }
  return out
}

/// Whether the character is a control character (C0, DEL, C1), a line separator, or one that changes the direction of
/// text. All of them fit into four hexadecimal digits.
func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0..<0x20, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
  default: false
  }
}

/// Formats JSON as one line if that is short, otherwise with one line for each member or element. It accepts any text:
/// text that is not JSON is also readable afterwards.
private func laidOutJSON(_ text: String) -> [String] {
  var lines: [String] = []
  var line = ""
  var depth = 0
  var inString = false
  var isEscaped = false
  var justOpened = false
  func endLine() {
    lines.append(shown(line))
    line = String(repeating: " ", count: 2 * depth)
  }
  for scalar in text.unicodeScalars {
    if inString {
      line.unicodeScalars.append(scalar)
      inString = scalar != "\"" || isEscaped
      isEscaped = scalar == "\\" && !isEscaped
      continue
    }
    if [" ", "\n", "\r", "\t"].contains(scalar) { continue }
    let closes = scalar == "}" || scalar == "]"
    if closes { depth = max(0, depth - 1) }
    if closes != justOpened, closes || justOpened { endLine() }
    justOpened = false
    line.unicodeScalars.append(scalar)
    switch scalar {
    case "{", "[":
      // Hostile text could be nested without limit, so the indentation is limited to the depth of documents.
      depth = min(depth + 1, 200)
      justOpened = true
    case ",": endLine()
    case ":": line += " "
    case "\"": inString = true
    default: break
    }
  }
  lines.append(shown(line))
  let joined = lines.map { line in String(line.drop { $0 == " " }) }.joined(separator: " ")
  return joined.unicodeScalars.count <= 80 ? [joined] : lines
}
