// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Guarantees
internal import TestSupport
internal import Testing

struct SimulationTests {
  /// Runs a small number of the histories that `script/simulate` runs by the thousand. They run in a process of their
  /// own, because there a seed also reproduces the iteration order of sets.
  @Test func guaranteesAreKept() throws {
    let seed = SeededRandom.fresh("guaranteesAreKept").seed
    try simulate(["--histories", "150", "--seed", "\(seed)"])
  }

  /// The printed events of a history depend on its seed only.
  @Test func aSeedBringsBackTheSameHistory() throws {
    let runs = try (0..<2).map { _ in
      try simulate(["--histories", "1", "--seed", "1", "--steps", "1000", "--verbose"])
        .filter { !$0.hasPrefix("simulate: ") }
    }
    #expect(runs[0].count > 500)
    // The order in which two watches receive the same change is not determined.
    #expect(runs[0].sorted() == runs[1].sorted())
  }

  /// Runs `simulate` and returns its output lines. Throws with the last events if a guarantee is violated.
  @discardableResult
  private func simulate(_ arguments: [String]) throws -> [String] {
    try ChildProcess.run(builtExecutable("simulate"), arguments, timeout: .seconds(120))
  }

  @Test func everyMutationStillApplies() throws {
    let folder = packageRoot.appendingPathComponent("Tests/Simulation/Mutations")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".patch") }
    for guarantee in Guarantee.allCases {
      let name = "no mutation of guarantee \(guarantee)"
      #expect(names.contains { $0.hasPrefix("\(guarantee.rawValue)-") }, "\(name)")
    }
    for name in names.sorted() {
      let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
      let problem = try Patch(text).problem(in: packageRoot)
      #expect(problem == nil, "\(name): make it anew")
      #expect(text.hasPrefix("Guarantee \(name.prefix(1)), "), "\(name): the first line says what it breaks")
    }
  }

  @Test func aPatchThatDoesNotApplyIsSeen() throws {
    let text =
      "--- a/Package.swift\n+++ b/Package.swift\n@@ -1,2 +1,1 @@\n // swift-tools-version: 6.2\n-import Nothing\n"
    #expect(try Patch(text).problem(in: packageRoot) == "Package.swift:1 reads otherwise")
    #expect(try Patch("").problem(in: packageRoot) == "no change")
  }
}
