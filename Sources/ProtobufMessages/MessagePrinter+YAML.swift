// SPDX-License-Identifier: Apache-2.0
extension MessagePrinter {
  /// A YAML document, beginning with `---`, with the same fields and values as the JSON form: 64-bit integers are
  /// strings, as proto3's JSON has them.
  ///
  /// Parsers of YAML 1.1 and of YAML 1.2 read the same values. https://yaml.org/spec/1.2.2/
  ///
  /// - Parameter message: Any generated message.
  /// - Returns: Lines, each with its line break.
  public func yaml<Message>(_ message: UnsafePointer<Message>) -> String {
    yaml(MessageReader(includesDefaults: includesDefaults).tree(of: UnsafeRawPointer(message)))
  }

  /// A YAML document, beginning with `---`.
  ///
  /// - Parameter tree: What the document contains.
  /// - Returns: Lines, each with its line break.
  package func yaml(_ tree: MessageTree) -> String {
    var out = "---"
    append(tree, indent: 0, to: &out)
    return out
  }

  /// One line of JSON.
  ///
  /// - Parameter tree: What the JSON contains.
  /// - Returns: The line, without a line break.
  package func json(_ tree: MessageTree) -> String {
    var out = ""
    appendJSON(tree, to: &out)
    return out
  }

  /// Appends a value behind `---`, a dash or a colon, with its line break.
  private func append(_ tree: MessageTree, indent: Int, to out: inout String) {
    switch tree {
    case .number(let text): out += " \(plainNumber(text))\n"
    case .longNumber(let text): out += " \"\(text)\"\n"
    case .bool(let bool): out += bool ? " true\n" : " false\n"
    case .text(let text), .json(let text): append(text: text, indent: indent, to: &out)
    case .list(let elements):
      out += elements.isEmpty ? " []\n" : "\n"
      for element in elements {
        out += String(repeating: " ", count: indent) + "-"
        guard case .object(let fields) = element, !fields.isEmpty else {
          append(element, indent: indent + 2, to: &out)
          continue
        }
        out += " "
        append(fields, indent: indent + 2, isFirstIndented: false, to: &out)
      }
    case .object(let fields):
      out += fields.isEmpty ? " {}\n" : "\n"
      append(fields, indent: indent, isFirstIndented: true, to: &out)
    }
  }

  private func append(
    _ fields: [(name: String, value: MessageTree)], indent: Int, isFirstIndented: Bool, to out: inout String
  ) {
    for (index, field) in fields.enumerated() {
      if index > 0 || isFirstIndented { out += String(repeating: " ", count: indent) }
      out += (isPlain(field.name) ? field.name : quotedYAML(field.name)) + ":"
      append(field.value, indent: indent + 2, to: &out)
    }
  }

  /// Several lines are a literal block where that keeps them as they are.
  private func append(text: String, indent: Int, to out: inout String) {
    guard isLiteral(text) else {
      out += " \(isPlain(text) ? text : quotedYAML(text))\n"
      return
    }
    var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    var chomping = "-"
    if lines.last?.isEmpty == true {
      lines.removeLast()
      chomping = lines.last?.isEmpty == true ? "+" : ""
    }
    out += " |\(chomping)\n"
    for line in lines { out += line.isEmpty ? "\n" : String(repeating: " ", count: max(indent, 1)) + line + "\n" }
  }
}

/// Whether a scalar without quotes is this text for every parser: a word that is no keyword and no number.
private func isPlain(_ text: String) -> Bool {
  let scalars = text.unicodeScalars
  guard let first = scalars.first, isLetter(first) || first == "_" || first == "/" else { return false }
  guard let last = scalars.last, last != ":", last != " " else { return false }
  let keywords: Set = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
  guard !keywords.contains(text.lowercased()), text.firstRange(of: ": ") == nil else { return false }
  return scalars.allSatisfy { scalar in
    isLetter(scalar) || ("0"..."9").contains(scalar) || " _-./:".unicodeScalars.contains(scalar)
  }
}

private func isLetter(_ scalar: Unicode.Scalar) -> Bool {
  ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
}

/// Whether a literal block is this text: several lines of printable characters, the first of which is neither empty nor
/// indented, and none of which is blank but for spaces.
private func isLiteral(_ text: String) -> Bool {
  let scalars = text.unicodeScalars
  guard scalars.contains("\n"), let first = scalars.first, first != "\n", first != " ", first != "\t" else {
    return false
  }
  guard scalars.allSatisfy({ $0 == "\n" || !isUnsafe($0) && !isUnprintable($0) }) else { return false }
  return scalars.split(separator: "\n").allSatisfy { line in line.contains { $0 != " " } }
}

/// A scalar in double quotes: those of JSON, with the characters escaped that YAML does not print.
private func quotedYAML(_ text: String) -> String {
  var out = ""
  for scalar in quotedJSON(text).unicodeScalars {
    if isUnprintable(scalar) {
      out += "\\u" + String(scalar.value, radix: 16)
    } else {
      out.unicodeScalars.append(scalar)
    }
  }
  return out
}

/// The byte order mark and what is no character. All have four digits.
private func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
  [0xFEFF, 0xFFFE, 0xFFFF].contains(scalar.value)
}

/// A number that YAML 1.1 takes for one, too: with an exponent it needs a point.
private func plainNumber(_ text: String) -> String {
  guard let exponent = text.firstIndex(of: "e"), !text.contains(".") else { return text }
  return "\(text[..<exponent]).0\(text[exponent...])"
}
