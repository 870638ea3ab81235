// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupRPC

/// Counts the calls of a transport on one event loop by method and status, and measures their durations.
///
/// A call's duration is measured from the start of the event-loop iteration in which it was received to the end of the
/// iteration in which it was answered, when its reply has been passed to the kernel. Two readings of the clock are
/// enough for all the calls of an iteration.
public final class CallMeter: @unchecked Sendable {
  // This is safe to share: `durations` may be read from any thread; the other members are used by the loop's thread
  // only.

  /// The calls of one method that ended with one status.
  public struct Calls: Sendable {
    /// The full name of the method, such as `configlookup.v1.ConfigLookup/GetPrompt`; `_OTHER` for calls of unknown
    /// methods.
    public let method: String
    /// The status with which the calls ended.
    public let status: RPCStatus.Code
    /// The number and the durations of the calls.
    public fileprivate(set) var durations: DurationCounts
  }

  private static let statusCount = RPCStatus.Code.allCases.count

  private let loop: EventLoop
  private let methods: [String]
  private let durations: DurationTable
  /// The calls that were received and ended in this iteration, by row, and the rows that have such calls. A table is
  /// used instead of an array, because Swift checks each access to an array that is a variable of a class for
  /// exclusivity.
  private let counts: CounterTable
  private var touched: [Int] = []
  /// The calls that ended in this iteration and were received in an earlier one.
  private var earlier: [(row: Int, began: MonotonicTime)] = []
  private var isAwaitingIterationEnd = false

  /// Creates the meter of one event loop.
  ///
  /// - Parameters:
  ///   - router: The methods to count.
  ///   - loop: The event loop on which the calls run.
  public init(_ router: RPCRouter, loop: EventLoop) {
    self.loop = loop
    methods = router.methods.map { "\($0.service)/\($0.name)" } + ["_OTHER"]
    let rows = methods.count * Self.statusCount
    durations = DurationTable(rows: rows)
    counts = CounterTable(count: rows)
  }

  /// Records calls that were received in this event-loop iteration and have ended. To be called on the loop's thread.
  ///
  /// - Parameters:
  ///   - method: The method; nil if it is unknown.
  ///   - status: The status with which the calls ended.
  ///   - count: The number of calls.
  public func ended(_ method: RPCMethod?, _ status: RPCStatus.Code, count: UInt64 = 1) {
    let row = row(method, status)
    if counts.read(row) == 0 {
      touched.append(row)
      awaitIterationEnd()
    }
    counts.add(count, to: row)
  }

  /// Records a call that has ended. To be called on the loop's thread.
  ///
  /// - Parameters:
  ///   - method: The method; nil if it is unknown.
  ///   - status: The status with which the call ended.
  ///   - began: The start of the event-loop iteration in which the call was received.
  public func ended(_ method: RPCMethod?, _ status: RPCStatus.Code, since began: MonotonicTime) {
    if began == loop.iterationBegan { return ended(method, status) }
    earlier.append((row(method, status), began))
    awaitIterationEnd()
  }

  private func row(_ method: RPCMethod?, _ status: RPCStatus.Code) -> Int {
    (method?.index ?? methods.count - 1) * Self.statusCount + Int(status.rawValue)
  }

  private func awaitIterationEnd() {
    guard !isAwaitingIterationEnd else { return }
    isAwaitingIterationEnd = true
    loop.settleAtIterationEnd(self)
  }

  /// Adds the durations of the calls that ended in an iteration, at its end. To be called on the loop's thread.
  func settle(began: MonotonicTime, ended: MonotonicTime) {
    isAwaitingIterationEnd = false
    for row in touched {
      durations.add(nanoseconds: ended.nanoseconds &- began.nanoseconds, count: counts.take(row), to: row)
    }
    touched.removeAll(keepingCapacity: true)
    for (row, began) in earlier { durations.add(nanoseconds: ended.nanoseconds &- began.nanoseconds, to: row) }
    earlier.removeAll()
  }

  /// Returns the sums of several meters. May be called from any thread.
  ///
  /// - Parameter meters: The meters, which must be of the same router.
  /// - Returns: The calls by method and status, for each combination that has calls.
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
