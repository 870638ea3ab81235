// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import Testing

@testable import ChangeStreamCache
@testable import LookupService

struct InvalidationCountersTests {
  private func invalidation(_ id: String, _ reason: Invalidation.Reason) -> Invalidation {
    Invalidation(
      kind: .delete, key: LookupKey("k"), revision: Revision(1), committedAt: .now, reason: reason, itemID: id,
      answer: nil, previousETag: nil, sequence: 1)
  }

  @Test func beyondTheLimitDocumentsAreOne() {
    var counters = InvalidationCounters()
    for number in 0..<1500 { counters.count([invalidation("\(number)", .changeStream("delete"))]) }
    counters.count([invalidation("7", .manual), invalidation("7", .changeStream("delete"))])
    #expect(counters.counts[.init(reason: "change_stream:delete", itemID: "7")] == 2)
    #expect(counters.counts[.init(reason: "manual", itemID: "7")] == 1)
    #expect(counters.counts[.init(reason: "change_stream:delete", itemID: "other")] == 500)
    #expect(counters.counts.count == 1002)
  }
}
