// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Glibc
internal import Guarantees
internal import Simulation
internal import TestSupport
internal import Testing

struct SimulationTests {
  /// Runs a small number of the histories that `script/simulate` runs by the thousand. They run in a process of their
  /// own, because there a seed also reproduces the iteration order of sets.
  @Test func guaranteesAreKept() async throws {
    let seed = SeededRandom.fresh("guaranteesAreKept").seed
    setenv(Self.hashing, "1", 1)
    defer { unsetenv(Self.hashing) }
    await #expect(processExitsWith: .success) { [seed = seed as UInt64] in
      for one in seed..<(seed + 150) {
        let history = History(seed: one)
        history.run(steps: 300)
        #expect(history.violations.isEmpty, "repeat it: script/simulate --seed \(one) --histories 1 --verbose")
      }
    }
  }

  /// The events of a history depend on its seed only.
  @Test func aSeedReproducesTheHistory() async throws {
    setenv(Self.hashing, "1", 1)
    defer { unsetenv(Self.hashing) }
    var runs: [String] = []
    for _ in 0..<2 {
      let file = FileManager.default.temporaryDirectory.appendingPathComponent("history-\(UUID())").path
      defer { try? FileManager.default.removeItem(atPath: file) }
      await #expect(processExitsWith: .success) { [file = file as String] in
        let history = History(seed: 1, isVerbose: true)
        history.run(steps: 1000)
        #expect(history.events.count > 500)
        // The order in which two watches receive the same change is not determined.
        try history.events.sorted().joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
      }
      runs.append(try String(contentsOfFile: file, encoding: .utf8))
    }
    #expect(runs[0] == runs[1])
  }

  /// The name of the variable that makes the iteration order of sets the same in each process. The runtime reads it
  /// when a process starts, so only the processes that this one starts are affected.
  private static let hashing = "SWIFT_DETERMINISTIC_HASHING"

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
