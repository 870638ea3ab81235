// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The rule for classes whose lifetime a caller controls: the table of `docs/reference/limits.md` names each of their
/// stored closures and stored collections, with its bound.
struct HeldStateRule {
  /// A stored property of such a class.
  struct Property: Equatable {
    let file: String
    let line: Int
    /// The qualified name, for example `GRPCConnection.streams`.
    let name: String
  }

  /// The targets whose classes are checked: those that serve callers.
  static let targets: Set = [
    "ConfigLookupNetwork", "GRPCTransport", "FramedTransport", "GRPCServices", "LookupService", "ConfigLookupRPC",
    "ConfigLookupServer",
  ]
  /// Matches a class that has one instance for each connection, stream, watch, waiting call or caller.
  private static let holder =
    #"^\s*(?:(?:public|private|fileprivate|package|final) )*class "#
    + #"((?!\w*Client)\w*(?:Connection|Stream|Session|Watch|Call|Waiter|Identity|Identities))\b"#
  private static let stored =
    #"^\s*(?:(?:public|private|fileprivate|internal|package|weak|unowned|private\(set\)|public internal\(set\)) )*"#
    + #"(?:let|var) (\w+)\s*([:=].*)$"#
  /// Matches types that can refer to further memory: collections, functions, and the project's types that contain them.
  private static let growing =
    #"\[|->|Set<|Array\(|Queue|RPCMetadata|RPCReply|Decoder|RequestHead|Filter|Backlog|Options"#

  static func properties(in file: SourceFile) -> [Property] {
    var found: [Property] = []
    var depth = 0
    var holder: (name: String, depth: Int)?
    for (index, line) in CodeMask.lines(file.lines).enumerated() {
      if let name = match(Self.holder, line)?.first, holder == nil { holder = (name, depth) }
      if let holder, depth == holder.depth + 1, let parts = match(stored, line), parts.count == 2,
        isStored(parts[1]), parts[1].range(of: growing, options: .regularExpression) != nil
      {
        found.append(Property(file: file.path, line: index + 1, name: "\(holder.name).\(parts[0])"))
      }
      for character in line {
        if character == "{" { depth += 1 }
        if character == "}" {
          depth -= 1
          if let open = holder, depth == open.depth { holder = nil }
        }
      }
    }
    return found
  }

  /// The properties in `files` that the page does not name.
  static func breaches(in files: [SourceFile], page: String) -> [Breach] {
    files.flatMap(properties).filter { !page.contains("`\($0.name)`") }.map {
      Breach(
        file: $0.file, line: $0.line,
        advice:
          "\($0.name) may hold what a caller wants: name it in docs/reference/limits.md, with its bound and its cost")
    }
  }

  /// Whether the text after a property's name declares a stored property. A computed property has a type and a brace
  /// there, and neither an initial value nor `didSet`.
  private static func isStored(_ rest: String) -> Bool {
    guard let brace = rest.firstIndex(of: "{") else { return true }
    return rest[..<brace].contains("=") || rest[brace...].contains("didSet")
  }

  private static func match(_ pattern: String, _ line: String) -> [String]? {
    guard let expression = try? NSRegularExpression(pattern: pattern) else { return nil }
    let whole = NSRange(line.startIndex..., in: line)
    guard let found = expression.firstMatch(in: line, range: whole) else { return nil }
    return (1..<found.numberOfRanges).compactMap { Range(found.range(at: $0), in: line).map { String(line[$0]) } }
  }
}
