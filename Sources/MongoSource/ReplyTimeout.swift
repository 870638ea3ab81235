internal import Core

/// How long a read of a collection waits for one reply: long enough for this server, and not longer. Any thread.
///
/// A connection that delivers nothing looks like a server that is slow to find the first documents. So the first limit
/// is short; each wait that reaches the limit doubles it for the next read, up to the greatest; and after a read that
/// succeeds, the limit is four times the longest wait that it had.
final class ReplyTimeout: Sendable {
  private static let leastSeconds = 10.0
  private static let greatestSeconds = 120.0

  private let limit = Locked(leastSeconds)

  var seconds: Double { limit.withLock { $0 } }

  /// A read failed, and not by an answer of the server, after a wait of so many seconds.
  func failed(after seconds: Double) {
    limit.withLock { limit in
      // A reset or a failed connect ends a wait early, and says nothing about how slow the server is.
      if seconds >= limit * 0.9 { limit = min(limit * 2, Self.greatestSeconds) }
    }
  }

  /// A read succeeded.
  func replied(longestWait seconds: Double) {
    limit.withLock { $0 = min(max(4 * seconds, Self.leastSeconds), Self.greatestSeconds) }
  }
}
