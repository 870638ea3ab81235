// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import TestSupport

/// A text file of the tree, split into lines.
struct SourceFile: Sendable {
  /// The path relative to the root of the package.
  let path: String
  let lines: [String]

  init(path: String, text: String) {
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  /// The target that the file belongs to; nil if it is not in `Sources`.
  var target: String? {
    let parts = path.split(separator: "/")
    return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
  }
}

/// A violation of a rule: its place, and the remedy.
struct Breach: Sendable, Equatable, CustomStringConvertible {
  let file: String
  let line: Int
  let advice: String

  var description: String { "\(file):\(line): \(advice)" }
}

enum SourceTree {
  /// Every text file that git tracks, or that is neither tracked nor ignored.
  static let all: [SourceFile] = paths.compactMap { path in
    guard let data = try? Data(contentsOf: packageRoot.appendingPathComponent(path)), !data.contains(0) else {
      return nil
    }
    return SourceFile(path: path, text: String(decoding: data, as: UTF8.self))
  }

  static let swift = all.filter { $0.path.hasSuffix(".swift") }
  static let sources = swift.filter { $0.target != nil }

  private static var paths: [String] {
    let list = ["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
    if let tracked = try? ChildProcess.run("/usr/bin/env", ["git"] + list, folder: packageRoot), !tracked.isEmpty {
      return tracked
    }
    // In a copy without git, every file that is not hidden is checked.
    let keys: [URLResourceKey] = [.isRegularFileKey]
    let files = FileManager.default.enumerator(
      at: packageRoot, includingPropertiesForKeys: keys, options: .skipsHiddenFiles)
    let root = packageRoot.path + "/"
    return (files?.compactMap { ($0 as? URL)?.path } ?? []).filter { $0.hasPrefix(root) }
      .map { String($0.dropFirst(root.count)) }
  }
}
