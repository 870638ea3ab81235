public import Core

/// Counts the open connections of a server, over all its loops and by address, and bounds them. Any thread.
public final class ConnectionQuota: Sendable {
  private struct Open: Sendable {
    var count = 0
    var byHost: [PeerHost: Int] = [:]
  }

  public let limit: Int
  /// Of one address.
  public let hostLimit: Int
  private let open = Locked(Open())

  public init(limit: Int, hostLimit: Int = .max) {
    self.limit = limit
    self.hostLimit = hostLimit
  }

  /// How many are open.
  public var count: Int { open.withLock { $0.count } }

  /// Takes a place, or gives the limit that is reached.
  func take(_ host: PeerHost) -> ServerLimit? {
    open.withLock { open in
      guard open.count < limit else { return .connections }
      guard open.byHost[host, default: 0] < hostLimit else { return .connectionsPerAddress }
      open.count += 1
      open.byHost[host, default: 0] += 1
      return nil
    }
  }

  func giveBack(_ host: PeerHost) {
    let isEmpty = open.withLock { open in
      open.count -= 1
      if let count = open.byHost[host] { open.byHost[host] = count > 1 ? count - 1 : nil }
      return open.count == 0
    }
    if isEmpty { open.signal() }
  }

  /// Waits until none is open. False if the deadline came first.
  public func waitUntilEmpty(deadline: MonotonicTime) -> Bool {
    open.wait(until: deadline) { $0.count == 0 ? true : nil } ?? false
  }
}
