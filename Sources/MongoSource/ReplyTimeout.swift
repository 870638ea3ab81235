// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The socket timeout of a read of a collection, adapted to the server. Any thread may use it.
///
/// A dead connection looks like a server that is slow to find the first documents. So the first timeout is short. Each
/// wait that reaches the timeout doubles it for the next read, up to a maximum. After a successful read, the timeout is
/// four times the longest wait of that read.
final class ReplyTimeout: Sendable {
  private static let minimum = Duration.seconds(10)
  private static let maximum = Duration.seconds(120)

  private let limit = Locked(minimum)

  /// The timeout of the next read.
  var duration: Duration { limit.withLock { $0 } }

  /// Records that a read failed, but not by a reply of the server, after `wait`.
  func failed(after wait: Duration) {
    limit.withLock { limit in
      // A reset or a failed connection attempt ends a wait early, and does not indicate how slow the server is.
      if wait >= limit * 0.9 { limit = min(limit * 2, Self.maximum) }
    }
  }

  /// Records that a read succeeded.
  func replied(longestWait wait: Duration) {
    limit.withLock { $0 = min(max(wait * 4, Self.minimum), Self.maximum) }
  }
}
