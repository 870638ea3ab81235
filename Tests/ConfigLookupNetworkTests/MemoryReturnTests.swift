// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import Testing

@testable import ConfigLookupNetwork

struct MemoryReturnTests {
  private let mebibyte = 1024 * 1024

  @Test func isDueOnceTheCountHasFallenFarAndIsSteady() {
    var rule = MemoryReturn.Rule()
    let counts = [0, 100, 300, 200, 20, 20, 20, 25, 21, 40, 21, 21].map { $0 * mebibyte }
    let due = counts.map { rule.isDue($0) }
    #expect(due.indices.filter { due[$0] } == [5, 11])
  }

  @Test func littleIsNotWorthIt() {
    var rule = MemoryReturn.Rule()
    let due = [0, 15, 0, 0, 15, 0, 0].map { rule.isDue($0 * mebibyte) }
    #expect(!due.contains(true))
  }

  @Test func itsThreadEnds() {
    let memory = MemoryReturn(BufferBudget())
    memory.stop()
  }
}
