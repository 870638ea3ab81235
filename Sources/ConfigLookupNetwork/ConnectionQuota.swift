// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// Counts and limits the open connections of a server, over all its event loops and for each address. It may be used
/// from any thread.
public final class ConnectionQuota: Sendable {
  private struct Open: Sendable {
    var count = 0
    var byHost: [PeerHost: Int] = [:]
  }

  /// Maximum number of open connections.
  public let limit: Int
  /// Maximum number of open connections of one address.
  public let hostLimit: Int
  private let open = Locked(Open())

  /// Creates a quota.
  ///
  /// - Parameters:
  ///   - limit: The maximum number of open connections.
  ///   - hostLimit: The maximum number of open connections of one address; unlimited by default.
  public init(limit: Int, hostLimit: Int = .max) {
    self.limit = limit
    self.hostLimit = hostLimit
  }

  /// Number of open connections.
  public var count: Int { open.withLock { $0.count } }

  /// Takes a slot; returns nil, or the limit that is reached.
  func take(_ host: PeerHost) -> ServerLimit? {
    open.withLock { open in
      guard open.count < limit else { return .connections }
      guard open.byHost[host, default: 0] < hostLimit else { return .connectionsPerAddress }
      open.count += 1
      open.byHost[host, default: 0] += 1
      return nil
    }
  }

  func release(_ host: PeerHost) {
    let isEmpty = open.withLock { open in
      open.count -= 1
      if let count = open.byHost[host] { open.byHost[host] = count > 1 ? count - 1 : nil }
      return open.count == 0
    }
    if isEmpty { open.signal() }
  }

  /// Waits until no connection is open.
  ///
  /// - Parameter deadline: The time at which the wait ends.
  /// - Returns: False if the deadline passed first.
  public func waitUntilEmpty(deadline: MonotonicTime) -> Bool {
    open.wait(until: deadline) { $0.count == 0 ? true : nil } ?? false
  }
}
