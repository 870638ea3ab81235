// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupRPC
import Testing

struct BufferBudgetTests {
  /// A holder that keeps its bytes until the budget makes it release them.
  private final class Holder: BufferHolder {
    private let account: BufferAccount
    private(set) var bufferedByteCount = 0

    init(_ account: BufferAccount, _ bytes: Int) {
      self.account = account
      hold(bytes)
    }

    func hold(_ bytes: Int) {
      let before = bufferedByteCount
      bufferedByteCount = bytes
      account.change(self, from: before, to: bytes)
    }

    func giveUpBuffers() { hold(0) }
  }

  private func budget(_ limit: Int, report: LimitReport = LimitReport(), accounts: Int = 1) -> [BufferAccount] {
    let budget = BufferBudget(limit: limit, report: report)
    return (0..<accounts).map { _ in BufferAccount(budget) }
  }

  @Test func theSumIsRightByAStepForEachWorker() {
    let accounts = budget(64_000, accounts: 2)
    let budget = accounts[0].budget
    let holders = accounts.map { Holder($0, 900) }
    #expect(budget.byteCount == 0, "less than a step")
    for holder in holders { holder.hold(10_000) }
    #expect(budget.byteCount == 20_000)
    for holder in holders { holder.hold(0) }
    #expect(budget.byteCount == 0)
  }

  @Test func thoseThatHoldTheMostLoseIt() {
    let account = budget(100_000)[0]
    let (small, large, larger) = (Holder(account, 2000), Holder(account, 40_000), Holder(account, 50_000))
    account.shed()
    #expect(larger.bufferedByteCount == 50_000, "there is room")
    small.hold(12_000)
    #expect(account.budget.isExceeded)
    account.shed()
    #expect([small, large, larger].map(\.bufferedByteCount) == [12_000, 40_000, 0])
    #expect(!account.budget.isExceeded && account.budget.byteCount == 52_000)
    for holder in [small, large] { holder.hold(0) }
  }

  /// The work of one event-loop iteration does not grow with the number of holders.
  @Test func manyHoldersLoseItInSlices() {
    let account = budget(1_000_000)[0]
    let asked = Locked(0)
    account.budget.onExcess { asked.withLock { $0 += 1 } }
    let holders = (0..<1100).map { _ in Holder(account, 1000) }
    var slices = 0
    while true {
      let (before, askedBefore) = (holders.count { $0.bufferedByteCount > 0 }, asked.withLock { $0 })
      account.shed()
      slices += 1
      #expect(before - holders.count { $0.bufferedByteCount > 0 } <= 128)
      guard asked.withLock({ $0 }) > askedBefore else { break }
    }
    #expect(slices >= 3)
    // A quarter of the limit becomes free, with the precision of the counting.
    #expect((730...770).contains(holders.count { $0.bufferedByteCount > 0 }))
    for holder in holders { holder.hold(0) }
  }

  /// Small holders of one worker keep their bytes if there are larger holders on other workers.
  @Test func smallHoldersOfAnotherWorkerKeepWhatTheyHave() {
    let accounts = budget(100_000, accounts: 2)
    let small = (0..<5).map { _ in Holder(accounts[0], 2000) }
    let large = Holder(accounts[1], 95_000)
    for account in accounts { account.shed() }
    #expect(small.allSatisfy { $0.bufferedByteCount == 2000 })
    #expect(large.bufferedByteCount == 0)
    for holder in small { holder.hold(0) }
  }

  @Test func eachWorkerGivesItsShare() {
    let accounts = budget(100_000, accounts: 2)
    let few = (0..<2).map { _ in Holder(accounts[0], 10_000) }
    let many = (0..<10).map { _ in Holder(accounts[1], 10_000) }
    #expect(accounts[0].budget.byteCount == 120_000)
    for account in accounts { account.shed() }
    // The workers must release 45,000 bytes: 7,500 of the 20,000, then of the 100,000 what is still above the limit.
    #expect(few.count { $0.bufferedByteCount == 0 } == 1)
    #expect(many.count { $0.bufferedByteCount == 0 } == 4)
    for holder in few + many { holder.hold(0) }
  }

  @Test func whoPassesItIsHeardAndCounted() {
    let report = LimitReport()
    let account = budget(100_000, report: report)[0]
    let excesses = Locked(0)
    account.budget.onExcess { excesses.withLock { $0 += 1 } }
    let holder = Holder(account, 99_000)
    #expect(throws: Never.self) { try account.budget.requireRoom() }
    #expect(excesses.withLock { $0 } == 0)
    holder.hold(150_000)
    #expect(excesses.withLock { $0 } == 1)
    let status = #expect(throws: RPCStatus.self) { try account.budget.requireRoom() }
    #expect(status?.reason == .bufferedBytesLimit && status?.message.contains("100000 bytes") == true)
    #expect(report.count(.bufferedBytes) == 1)
    holder.hold(0)
    #expect(throws: Never.self) { try account.budget.requireRoom() }
  }
}
