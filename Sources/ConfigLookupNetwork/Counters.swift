// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// A table of counters that one thread increments and any thread may read.
public final class CounterTable: @unchecked Sendable {
  // This is safe to share: `slots` never moves, and its elements are atomics.
  private let slots: UnsafeMutablePointer<Atomic<UInt64>>
  /// Number of counters.
  public let count: Int

  /// Creates counters with the value 0.
  ///
  /// - Parameter count: The number of counters.
  public init(count: Int) {
    self.count = count
    slots = .allocate(capacity: count)
    for index in 0..<count { (slots + index).initialize(to: Atomic(0)) }
  }

  deinit {
    slots.deinitialize(count: count)
    slots.deallocate()
  }

  /// Increments a counter, by a load and a store without a locked instruction. To be called on the thread that owns the
  /// table only.
  ///
  /// - Parameters:
  ///   - amount: The amount to add.
  ///   - index: The index of the counter.
  public func add(_ amount: UInt64 = 1, to index: Int) {
    precondition(index >= 0 && index < count)
    slots[index].store(slots[index].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  /// Returns a counter's value and resets it to 0. To be called on the thread that owns the table only.
  func take(_ index: Int) -> UInt64 {
    defer { slots[index].store(0, ordering: .relaxed) }
    return read(index)
  }

  /// Returns a counter's value. May be called from any thread.
  ///
  /// - Parameter index: The index of the counter.
  /// - Returns: The value.
  public func read(_ index: Int) -> UInt64 {
    precondition(index >= 0 && index < count)
    return slots[index].load(ordering: .relaxed)
  }
}

/// A counter of the sockets of an event loop.
public enum NetworkCounter: Int, Sendable, CaseIterable {
  /// Number of connections accepted.
  case connectionsAccepted
  /// Number of connections closed.
  case connectionsClosed
  /// Number of connections closed at once because a limit was reached.
  case connectionsRefused
  /// Number of connections closed because the peer did not read its replies.
  case connectionsStalled
  /// Number of bytes received.
  case bytesReceived
  /// Number of bytes sent.
  case bytesSent
  /// Number of completed TLS handshakes. Failed ones are counted by ``TLS/TLSFailure/Reason``.
  case handshakes
  /// Number of connections whose peer used TLS on a cleartext port.
  case tlsToPlainPort
}
