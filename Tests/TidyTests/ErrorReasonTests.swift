// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import TestSupport
internal import Testing

/// The reasons of errors, in the code and in the tests.
@Suite struct ErrorReasonTests {
  private static let file = "Sources/ConfigLookupRPC/ErrorReason.swift"

  /// The cases of the enum, with their names on the wire.
  private static var reasons: [(name: String, wire: String)] {
    let lines = SourceTree.sources.first { $0.path == file }?.lines ?? []
    return lines.compactMap { line in
      line.firstMatch(of: /^  case ([a-zA-Z]+) = "([A-Z_]+)"$/).map { (String($0.1), String($0.2)) }
    }
  }

  /// A reason that no code gives is removed; a reason that no test expects gets a test.
  @Test func everyReasonIsGivenAndTested() throws {
    #expect(Self.reasons.count > 20)
    let sources = SourceTree.sources.filter { $0.path != Self.file }.flatMap(\.lines)
    let tests = SourceTree.all.filter { $0.path.hasPrefix("Tests/") }.flatMap(\.lines)
    for (name, wire) in Self.reasons {
      let use = try Regex("(RPCStatus\\(|^ +|reason: |\\? |: |= )\\.\(name)\\b")
      #expect(sources.contains { $0.contains(use) }, "no error has the reason \(name)")
      let expectation = try Regex("\\.\(name)\\b|\\b\(wire)\\b")
      #expect(tests.contains { $0.contains(expectation) }, "no test expects the reason \(name)")
    }
  }

  /// Only the clients of the transports make a status without a reason.
  @Test func onlyClientsMakeAStatusWithoutAReason() {
    let clients = ["FramedEvent.swift", "GRPCReplyHead.swift", "GRPCClientCall.swift", "RPCStatus.swift"]
    for file in SourceTree.sources where !clients.contains(where: { file.path.hasSuffix("/" + $0) }) {
      for (index, line) in file.lines.enumerated() where line.contains("RPCStatus(clientSide:") {
        Issue.record("\(file.path):\(index + 1): give the status an ErrorReason")
      }
    }
  }
}
