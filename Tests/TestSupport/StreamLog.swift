// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Counts the events of the calls of ``testRouter(_:)``. Any thread may use it.
public final class StreamLog: Sendable {
  /// The counts.
  public struct Entries: Sendable {
    /// The number of opened streams.
    public var opened = 0
    /// The number of cancelled streams.
    public var cancelled = 0
    /// The number of streams that were notified of draining.
    public var drained = 0
    /// The number of times that a stream was blocked by a slow peer.
    public var blocked = 0
    /// The number of times that a stream was notified that it can continue.
    public var resumed = 0
    /// The number of bytes in sent replies.
    public var payloadBytes = 0
    /// The number of times that the method `Wait` was evaluated.
    public var asks = 0
    /// The number of waits that the method `Wait` began.
    public var waits = 0
  }
  private let entries = Locked(Entries())

  /// Creates a log with all counts at zero.
  public init() {}

  /// A copy of the current counts.
  public var now: Entries { entries.withLock { $0 } }

  /// Counts an evaluation of the method `Wait`. Returns the count.
  func waitAsked() -> Int {
    entries.withLock { entries in
      entries.asks += 1
      return entries.asks
    }
  }

  func note(_ change: (inout Entries) -> Void) {
    entries.withLock { change(&$0) }
  }
}
