// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The socket timeout of a read of a collection, adapted to the server. Any thread may use it.
///
/// A dead connection looks like a server that is slow to find the first documents. So the first timeout is short. Each
/// wait that reaches the timeout doubles it for the next read, up to a maximum. After a successful read, the timeout is
/// four times the longest wait of that read.
final class ReplyTimeout: Sendable {
  private static let leastSeconds = 10.0
  private static let greatestSeconds = 120.0

  private let limit = Locked(leastSeconds)

  var seconds: Double { limit.withLock { $0 } }

  /// Records that a read failed, but not by a reply of the server, after a wait of `seconds`.
  func failed(after seconds: Double) {
    limit.withLock { limit in
      // A reset or a failed connection attempt ends a wait early, and does not indicate how slow the server is.
      if seconds >= limit * 0.9 { limit = min(limit * 2, Self.greatestSeconds) }
    }
  }

  /// Records that a read succeeded.
  func replied(longestWait seconds: Double) {
    limit.withLock { $0 = min(max(4 * seconds, Self.leastSeconds), Self.greatestSeconds) }
  }
}
