// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import ConfigLookupCore
internal import Glibc

/// The connections of the HTTP server: when each was last used, and which of them exceed the limits. It is used on the
/// loop's thread only.
///
/// evhttp reports neither a new connection's descriptor nor a connection's end, and its own timeout starts again with
/// each byte. Therefore the sockets of the event base are listed after each batch of accepted connections, and
/// periodically. The inode distinguishes a socket from a later one with the same descriptor.
struct OperationsPeers {
  /// A connection that must be closed, and the limit that it has reached; nil for a connection that was idle.
  struct Closing: Equatable {
    let socket: Int32
    let limit: ServerLimit?
  }

  private struct Peer {
    let host: PeerHost
    /// The position of the connection in the order in which connections were found.
    let number: UInt64
    /// The time at which the last complete request was received or, before that, at which the connection was found.
    var lastUse: MonotonicTime
    /// Whether a complete request has been received.
    var hasAsked = false
    /// Whether the connection has been shut down. evhttp has not freed it yet.
    var isClosing = false
  }

  private let limits: OperationsLimits
  private var peers: [UInt64: Peer] = [:]
  private var nextNumber: UInt64 = 0

  init(limits: OperationsLimits) {
    self.limits = limits
  }

  /// Records that a complete request was received.
  mutating func heardFrom(_ descriptor: Int32, now: MonotonicTime) {
    guard let inode = inode(descriptor) else { return }
    var peer = peers[inode] ?? makePeer(descriptor, now: now)
    peer.lastUse = now
    peer.hasAsked = true
    peers[inode] = peer
  }

  /// Compares the open sockets with the limits. Returns those that must be closed: the connections that have been idle
  /// for too long and, if there are too many in total or of one address, the ones that are least used. A new connection
  /// is never rejected in favour of an older one that is idle.
  mutating func review(_ sockets: Set<Int32>, now: MonotonicTime) -> [Closing] {
    var open: [(socket: Int32, inode: UInt64)] = []
    var known: [UInt64: Peer] = [:]
    for socket in sockets {
      guard let inode = inode(socket) else { continue }
      let peer = peers[inode] ?? makePeer(socket, now: now)
      known[inode] = peer
      if !peer.isClosing { open.append((socket, inode)) }
    }
    peers = known
    var closings: [Closing] = []
    open.removeAll { socket, inode in
      guard let peer = peers[inode], isExpired(peer, now: now) else { return false }
      peers[inode]?.isClosing = true
      closings.append(Closing(socket: socket, limit: peer.hasAsked ? nil : .httpFirstRequest))
      return true
    }
    closings += closeExcess(open)
    return closings
  }

  private mutating func makePeer(_ socket: Int32, now: MonotonicTime) -> Peer {
    nextNumber += 1
    return Peer(host: PeerHost(of: socket), number: nextNumber, lastUse: now)
  }

  private func isExpired(_ peer: Peer, now: MonotonicTime) -> Bool {
    now.duration(since: peer.lastUse) > (peer.hasAsked ? limits.idleTimeout : limits.firstRequestTimeout)
  }

  /// The connections of `open` that exceed the limits.
  private mutating func closeExcess(_ open: [(socket: Int32, inode: UInt64)]) -> [Closing] {
    var counts: [PeerHost: Int] = [:]
    for (_, inode) in open { if let peer = peers[inode] { counts[peer.host, default: 0] += 1 } }
    var count = open.count
    guard count > limits.connections || counts.values.contains(where: { $0 > limits.connectionsPerAddress }) else {
      return []
    }
    // The least used come first: connections without a request, then idle ones, then those that are being served.
    let byUse = open.compactMap { socket, inode in
      peers[inode].map { (socket: socket, inode: inode, peer: $0, use: use(of: $0, socket)) }
    }.sorted { ($0.use, $0.peer.lastUse, $0.peer.number) < ($1.use, $1.peer.lastUse, $1.peer.number) }
    var closings: [Closing] = []
    for (socket, inode, peer, _) in byUse {
      let isOfTooMany = (counts[peer.host] ?? 0) > limits.connectionsPerAddress
      guard isOfTooMany || count > limits.connections else { continue }
      count -= 1
      counts[peer.host, default: 0] -= 1
      peers[inode]?.isClosing = true
      closings.append(Closing(socket: socket, limit: isOfTooMany ? .httpConnectionsPerAddress : .httpConnections))
    }
    return closings
  }

  private func use(of peer: Peer, _ socket: Int32) -> Int {
    // Bytes wait on the socket: a request that has not been read yet, or a reply that the peer has not accepted.
    if waitingBytes(socket, UInt(FIONREAD)) > 0 || waitingBytes(socket, UInt(TIOCOUTQ)) > 0 { return 2 }
    return peer.hasAsked ? 1 : 0
  }

  /// The sockets for which an event base waits.
  static func sockets(of base: OpaquePointer, except listener: Int32) -> Set<Int32> {
    var result: Set<Int32> = []
    withUnsafeMutablePointer(to: &result) { _ = event_base_foreach_event(base, collectDescriptor, $0) }
    return result.filter { $0 != listener && isSocket($0) }
  }
}

private func waitingBytes(_ socket: Int32, _ request: UInt) -> Int32 {
  var count: Int32 = 0
  return ioctl(socket, request, &count) == 0 ? count : 0
}

private func status(_ descriptor: Int32) -> stat? {
  var status = stat()
  return fstat(descriptor, &status) == 0 ? status : nil
}

private func inode(_ descriptor: Int32) -> UInt64? {
  status(descriptor).map { UInt64($0.st_ino) }
}

private func isSocket(_ descriptor: Int32) -> Bool {
  status(descriptor).map { $0.st_mode & S_IFMT == S_IFSOCK } ?? false
}

private func collectDescriptor(_: OpaquePointer?, _ event: OpaquePointer?, _ argument: UnsafeMutableRawPointer?)
  -> Int32
{
  guard let event, let argument else { return 0 }
  argument.assumingMemoryBound(to: Set<Int32>.self).pointee.insert(event_get_fd(event))
  return 0
}
