// SPDX-License-Identifier: Apache-2.0
import ChangeStreamCache
import ConfigModels
import Testing

/// Tests of Semantic Versioning 2.0.0: which texts are versions, and which of two versions is lower.
@Suite struct SemanticVersionTests {
  @Test(arguments: [
    "0.0.0", "1.2.3", "10.20.30", "1.2.99999999999999999999", "1.1.2-prerelease+meta", "1.1.2+meta", "1.1.2+meta-valid",
    "1.0.0-alpha", "1.0.0-alpha.beta.1", "1.0.0-alpha0.valid", "1.0.0-alpha.0valid", "1.0.0-rc.1+build.123",
    "1.0.0-0A.is.legal",
    "1.0.0--", "1.0.0-0", "2.0.0+build.1848", "1.0.0+0.build.1-rc.10000aaa-kk-0.1", "1.0.0+001",
    "1.2.3----RC-SNAPSHOT.12.9.1--.12", "1.2.3----R-S.12.9.1--.12+meta",
  ])
  func `a version`(_ text: String) {
    #expect(SemanticVersion(text)?.text == text)
  }

  @Test(arguments: [
    "", "1", "1.2", "1.2.3.4", "v1.2.3", " 1.2.3", "1.2.3 ", "1.2.3\n", "1..3", ".1.2", "1.2.", "-1.2.3", "+1.2.3",
    "1.2.-3",
    "1.2.+3", "1.2.x", "01.2.3", "1.02.3", "1.2.03", "1.2.3-", "1.2.3+", "1.2.3-01", "1.2.3-a..b", "1.2.3-.a",
    "1.2.3-a.", "1.2.3-a_b", "1.2.3-é", "1.2.3+a+b", "1.2.3+a..b", "1.2.3-a.01", "1.2.3-+a", "1.0.0-\0", "\u{0661}.0.0",
  ])
  func `no version`(_ text: String) {
    #expect(SemanticVersion(text) == nil)
  }

  /// The examples of the specification, and versions near them.
  private static let ordered = [
    "0.0.0-0", "0.0.0", "0.0.1", "0.9.9", "1.0.0-0.9", "1.0.0-2", "1.0.0-2.0", "1.0.0-10", "1.0.0-99999999999999999999",
    "1.0.0-100000000000000000000", "1.0.0-A", "1.0.0-a", "1.0.0-a.0", "1.0.0-a-", "1.0.0-a0", "1.0.0-aa", "1.0.0-alpha",
    "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0",
    "1.0.1-rc", "1.0.1", "1.2.9", "1.2.10", "1.10.0", "2.0.0", "9.0.0", "10.0.0", "18446744073709551616.0.0",
  ]

  private func precedence(_ version: String, _ updatedAt: String? = nil) throws -> Precedence {
    let document = Documents.prompt.replacing("1.2.3", with: version)
    return try read(
      Documents.changed(document, "metadata.updated_at", to: updatedAt.map { "\"\($0)\"" }), as: PromptDocument.self
    ).precedence
  }

  @Test func `the order of versions is that of the specification`() throws {
    let ordered = Self.ordered
    let keys = try ordered.map { try precedence($0) }
    for left in ordered.indices {
      for right in ordered.indices {
        #expect((keys[left] < keys[right]) == (left < right), "\(ordered[left]) and \(ordered[right])")
      }
    }
    // An identifier that is not numeric is above every number; so is "-".
    #expect(try precedence("1.0.0-99") < precedence("1.0.0--"))
    #expect(try precedence("1.0.0--") < precedence("1.0.0-A"))
  }

  @Test func `build metadata does not order`() throws {
    #expect(try precedence("1.0.0+a") == precedence("1.0.0+b"))
    #expect(try precedence("1.0.0-rc+a") == precedence("1.0.0-rc"))
    #expect(try precedence("1.0.0+z") < precedence("1.0.1-rc+a"))
  }

  @Test func `the date counts where the versions are equal, and none is the earliest`() throws {
    let dates = [nil, "0001-01-01", "1969-12-31", "1970-01-01", "2026-01-09", "9999-12-31"]
    let keys = try dates.map { try precedence("1.0.0", $0) }
    for (earlier, later) in zip(keys, keys.dropFirst()) { #expect(earlier < later) }
    #expect(try precedence("1.0.0-rc.1", "9999-12-31") < precedence("1.0.0", nil))
    #expect(try precedence("1.0.0+a", "2026-01-09") < precedence("1.0.0", "2026-01-10"))
  }

  @Test func `agents are in the same order`() throws {
    func agent(_ version: String, _ updatedAt: String?) throws -> Precedence {
      let document = Documents.explorer.replacing("1.2.3", with: version)
      return try read(
        Documents.changed(document, "metadata.updated_at", to: updatedAt.map { "\"\($0)\"" }),
        as: AgentConfigDocument.self
      ).precedence
    }
    for (version, date) in [("1.0.0-rc.1", nil), ("1.0.0", "2026-01-09"), ("10.2.0+b", "1969-12-31")] {
      #expect(try agent(version, date) == precedence(version, date))
    }
  }
}
