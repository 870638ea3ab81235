/// What a transport counts on one loop, but for calls: those are a ``CallMeter``'s.
public struct TransportCounters<Own: RawRepresentable & CaseIterable & Sendable>: Sendable where Own.RawValue == Int {
  @usableFromInline let table = CounterTable(count: Own.allCases.count)

  public init() {}

  /// Only on the loop's thread.
  @inlinable
  public func add(_ counter: Own, _ amount: UInt64 = 1) {
    table.add(amount, to: counter.rawValue)
  }

  /// Any thread.
  public func read(_ counter: Own) -> UInt64 {
    table.read(counter.rawValue)
  }
}
