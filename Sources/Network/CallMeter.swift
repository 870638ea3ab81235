public import Core
public import RPC

/// What a transport counts of the calls on one loop: how each ended, and how long it took.
///
/// A call's time is from the turn of the loop in which it came to the end of the turn in which it was answered, when
/// its reply has been handed to the system: two readings of the clock serve all the calls of a turn.
public final class CallMeter: @unchecked Sendable {
  // Safe to share: `durations` takes care of itself; the rest is touched by the loop's thread alone.

  /// The calls that ended so, of one method.
  public struct Calls: Sendable {
    /// `configlookup.v1.ConfigLookup/GetPrompt`; `_OTHER` for what nobody serves.
    public let method: String
    public let status: RPCStatus.Code
    public fileprivate(set) var durations: DurationCounts
  }

  private static let statusCount = RPCStatus.Code.allCases.count

  private let loop: EventLoop
  private let methods: [String]
  private let durations: DurationTable
  /// Calls that came and ended in this turn, by row; and the rows that have some. A table and not an array: one that is
  /// a variable of a class has Swift look, at each call, whether anybody else is changing it.
  private let counts: CounterTable
  private var touched: [Int] = []
  /// Calls that ended in this turn and came before it.
  private var earlier: [(row: Int, began: MonotonicTime)] = []
  private var isAwaitingTurnEnd = false

  /// For the methods of a router, on one loop.
  public init(_ router: RPCRouter, loop: EventLoop) {
    self.loop = loop
    methods = router.methods.map { "\($0.service)/\($0.name)" } + ["_OTHER"]
    let rows = methods.count * Self.statusCount
    durations = DurationTable(rows: rows)
    counts = CounterTable(count: rows)
  }

  /// A call that came in this turn has ended; `method` is nil where nobody serves it. On the loop's thread.
  public func ended(_ method: RPCMethod?, _ status: RPCStatus.Code, count: UInt64 = 1) {
    let row = row(method, status)
    if counts.read(row) == 0 {
      touched.append(row)
      awaitTurnEnd()
    }
    counts.add(count, to: row)
  }

  /// A call has ended that came in the turn of `began`. On the loop's thread.
  public func ended(_ method: RPCMethod?, _ status: RPCStatus.Code, since began: MonotonicTime) {
    if began == loop.turnBegan { return ended(method, status) }
    earlier.append((row(method, status), began))
    awaitTurnEnd()
  }

  private func row(_ method: RPCMethod?, _ status: RPCStatus.Code) -> Int {
    (method?.index ?? methods.count - 1) * Self.statusCount + Int(status.rawValue)
  }

  private func awaitTurnEnd() {
    guard !isAwaitingTurnEnd else { return }
    isAwaitingTurnEnd = true
    loop.settleAtTurnEnd(self)
  }

  /// The turn has ended. On the loop's thread.
  func settle(began: MonotonicTime, ended: MonotonicTime) {
    isAwaitingTurnEnd = false
    for row in touched {
      durations.add(nanoseconds: ended.nanoseconds &- began.nanoseconds, count: counts.take(row), to: row)
    }
    touched.removeAll(keepingCapacity: true)
    for (row, began) in earlier { durations.add(nanoseconds: ended.nanoseconds &- began.nanoseconds, to: row) }
    earlier.removeAll()
  }

  /// Adds up the calls of meters that are of the same router, those that there were. Any thread.
  public static func calls(_ meters: [CallMeter]) -> [Calls] {
    guard let first = meters.first else { return [] }
    return first.methods.enumerated().flatMap { index, method in
      RPCStatus.Code.allCases.compactMap { status in
        var calls = Calls(method: method, status: status, durations: DurationCounts())
        for meter in meters { calls.durations += meter.durations.read(index * statusCount + Int(status.rawValue)) }
        return calls.durations.count == 0 ? nil : calls
      }
    }
  }
}
