internal import Synchronization

/// A row of counters that one thread adds to and any thread reads.
public final class CounterTable: @unchecked Sendable {
  // Safe to share: `slots` never moves, and its elements are atomics.
  private let slots: UnsafeMutablePointer<Atomic<UInt64>>
  public let count: Int

  public init(count: Int) {
    self.count = count
    slots = .allocate(capacity: count)
    for index in 0..<count { (slots + index).initialize(to: Atomic(0)) }
  }

  deinit {
    slots.deinitialize(count: count)
    slots.deallocate()
  }

  /// Only on the thread that owns the table: a load and a store, no locked instruction.
  public func add(_ amount: UInt64 = 1, to index: Int) {
    precondition(index >= 0 && index < count)
    slots[index].store(slots[index].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  /// Only on the thread that owns the table: gives the count, and begins anew.
  func take(_ index: Int) -> UInt64 {
    defer { slots[index].store(0, ordering: .relaxed) }
    return read(index)
  }

  /// Any thread.
  public func read(_ index: Int) -> UInt64 {
    precondition(index >= 0 && index < count)
    return slots[index].load(ordering: .relaxed)
  }
}

/// What a loop counts about its sockets.
public enum NetworkCounter: Int, Sendable, CaseIterable {
  case connectionsAccepted
  case connectionsClosed
  /// Turned away because there were too many.
  case connectionsRefused
  /// Cut because the peer did not take its bytes.
  case connectionsStalled
  case bytesReceived
  case bytesSent
  /// TLS handshakes that came to a good end; those that did not are counted by ``TLS/TLSFailure/Reason``.
  case handshakes
  /// Connections whose peer spoke TLS to a port that does not.
  case tlsToPlainPort
}
