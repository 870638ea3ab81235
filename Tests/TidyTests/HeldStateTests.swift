// SPDX-License-Identifier: Apache-2.0
internal import TestSupport
internal import Testing

/// Checks that the table of `docs/reference/limits.md` names all state that a caller can make the server hold.
@Suite struct HeldStateTests {
  private static let files = SourceTree.sources.filter { HeldStateRule.targets.contains($0.target ?? "") }

  @Test func whatCallersHoldIsInTheTable() throws {
    let page = try #require(SourceTree.all.first { $0.path == "docs/reference/limits.md" })
      .lines.joined(separator: "\n")
    expectNone(HeldStateRule.breaches(in: Self.files, page: page))
  }

  /// The table names no property that the code no longer has.
  @Test func theTableNamesNothingElse() throws {
    let page = try #require(SourceTree.all.first { $0.path == "docs/reference/limits.md" }).lines
    let known = Set(Self.files.flatMap(HeldStateRule.properties).map(\.name))
    let classes = Set(known.compactMap { $0.split(separator: ".").first })
    for (index, line) in page.enumerated() {
      for word in line.split(separator: "`") where word.split(separator: ".").count == 2 {
        guard let name = word.split(separator: ".").first, classes.contains(name) else { continue }
        #expect(known.contains(String(word)), "docs/reference/limits.md:\(index + 1): \(word) is not stored any more")
      }
    }
  }

  @Test func canFail() {
    let text = """
      final class OddConnection {
        private var names: [String] = []
        var count: Int { names.count }
        var list: [Int] { [] }
        var job: (() -> Void)?
        var told = Set<Int>() {
          didSet { }
        }
        func call() { let local: [Int] = [] }
      }
      struct Other { var names: [String] }
      """
    let file = SourceFile(path: "Sources/ConfigLookupNetwork/Odd.swift", text: text)
    #expect(
      HeldStateRule.properties(in: file).map(\.name) == [
        "OddConnection.names", "OddConnection.job", "OddConnection.told",
      ])
    #expect(HeldStateRule.breaches(in: [file], page: "`OddConnection.names`, OddConnection.job").count == 2)
  }
}
