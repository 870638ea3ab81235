internal import Core

/// What the calls of ``testRouter(_:)`` have seen.
public final class StreamLog: Sendable {
  /// Counts.
  public struct Entries: Sendable {
    public var opened = 0
    public var cancelled = 0
    public var drained = 0
    /// Streams that found the peer slow.
    public var blocked = 0
    /// Times a stream was told to go on.
    public var resumed = 0
    public var payloadBytes = 0
    /// Times the method `Wait` was asked, and waits that it began.
    public var asks = 0
    public var waits = 0
  }
  private let entries = Locked(Entries())

  public init() {}

  public var now: Entries { entries.withLock { $0 } }

  /// Counts a question to the method `Wait`.
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
