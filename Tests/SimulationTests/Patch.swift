// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A unified diff, parsed only to check whether it applies.
struct Patch {
  private struct Hunk {
    let path: String
    /// The number of the first line, counted from 1.
    let line: Int
    var expected: [String] = []
  }

  private var hunks: [Hunk] = []

  init(_ text: String) {
    var path = ""
    for line in text.components(separatedBy: "\n") {
      if line.hasPrefix("--- a/") {
        path = String(line.dropFirst(6))
      } else if line.hasPrefix("@@ -") {
        hunks.append(Hunk(path: path, line: Int(line.dropFirst(4).prefix { $0.isNumber }) ?? 0))
      } else if !hunks.isEmpty, line.hasPrefix(" ") || line.hasPrefix("-") {
        hunks[hunks.count - 1].expected.append(String(line.dropFirst()))
      }
    }
  }

  /// The first place where a file differs from the lines that the patch expects; nil if the patch applies.
  func problem(in root: URL) throws -> String? {
    if hunks.isEmpty { return "no change" }
    for hunk in hunks {
      let text = try String(contentsOf: root.appendingPathComponent(hunk.path), encoding: .utf8)
      let lines = text.components(separatedBy: "\n")
      // The lines may have moved, because `patch` also finds them at another place.
      let isThere = lines.indices.contains { lines[$0...].starts(with: hunk.expected) }
      if !isThere { return "\(hunk.path):\(hunk.line) reads otherwise" }
    }
    return nil
  }
}
