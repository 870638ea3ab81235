// SPDX-License-Identifier: Apache-2.0
/// The counters of a transport on one event loop, except those of calls, which a ``CallMeter`` has.
public struct TransportCounters<Own: RawRepresentable & CaseIterable & Sendable>: Sendable where Own.RawValue == Int {
  @usableFromInline let table = CounterTable(count: Own.allCases.count)

  /// Creates counters with the value 0.
  public init() {}

  /// Increments a counter. To be called on the loop's thread only.
  ///
  /// - Parameters:
  ///   - counter: The counter.
  ///   - amount: The amount to add.
  @inlinable
  public func add(_ counter: Own, _ amount: UInt64 = 1) {
    table.add(amount, to: counter.rawValue)
  }

  /// Returns a counter's value. May be called from any thread.
  ///
  /// - Parameter counter: The counter.
  /// - Returns: The value.
  public func read(_ counter: Own) -> UInt64 {
    table.read(counter.rawValue)
  }
}
