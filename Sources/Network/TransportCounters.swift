public import RPC

/// What a transport counts on one loop: its own counters, then the ended calls by status.
public struct TransportCounters<Own: RawRepresentable & CaseIterable & Sendable>: Sendable where Own.RawValue == Int {
  @usableFromInline let table = CounterTable(count: Own.allCases.count + RPCStatus.Code.allCases.count)
  @usableFromInline let callsStart = Own.allCases.count

  public init() {}

  /// Only on the loop's thread.
  @inlinable
  public func add(_ counter: Own) {
    table.add(to: counter.rawValue)
  }

  /// Only on the loop's thread.
  @inlinable
  public func addCall(_ code: RPCStatus.Code) {
    table.add(to: callsStart + Int(code.rawValue))
  }

  /// Any thread.
  public func read(_ counter: Own) -> UInt64 {
    table.read(counter.rawValue)
  }

  /// Any thread.
  public func readCalls(_ code: RPCStatus.Code) -> UInt64 {
    table.read(callsStart + Int(code.rawValue))
  }
}
