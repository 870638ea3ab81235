internal import Core
internal import Network
internal import RPC

/// What the framed connections of one loop share.
final class FramedLoop: @unchecked Sendable {
  // Safe to share: what is marked "loop thread" is touched by the thread of `eventLoop` alone, the rest never changes.
  let eventLoop: EventLoop
  let router: RPCRouter
  /// Nil: everybody may do everything.
  let access: (any RPCAccess)?
  let limits: FramedLimits
  let counters = TransportCounters<FramedCounter>()
  let calls: CallMeter
  private var connections: [ObjectIdentifier: FramedConnection] = [:]  // loop thread
  private var spareReply: RPCReply?  // loop thread
  private var isDraining = false  // loop thread
  private var isClosed = false  // loop thread

  init(eventLoop: EventLoop, router: RPCRouter, access: (any RPCAccess)?, limits: FramedLimits) {
    self.eventLoop = eventLoop
    self.router = router
    calls = CallMeter(router, loop: eventLoop)
    self.access = access
    self.limits = limits
  }

  func open(_ connection: Connection) -> FramedConnection {
    let framed = FramedConnection(connection, loop: self)
    connections[ObjectIdentifier(framed)] = framed
    if isClosed {
      connection.close()
    } else if isDraining {
      framed.drain("draining")
    } else {
      framed.limitAge()
      framed.limitIdleness()
    }
    return framed
  }

  func remove(_ connection: FramedConnection) {
    connections[ObjectIdentifier(connection)] = nil
  }

  func drain() {
    isDraining = true
    for connection in Array(connections.values) { connection.drain("draining") }
  }

  func closeAll() {
    isClosed = true
    for connection in Array(connections.values) { connection.close() }
  }

  /// An empty reply with storage. Taken out, not lent: a handler may come to write to another call in its time.
  func takeReply() -> RPCReply {
    guard let reply = spareReply else { return RPCReply() }
    spareReply = nil
    return reply
  }

  func giveBack(_ reply: consuming RPCReply) {
    guard reply.head.capacity <= Limits.keptReplyBytes else { return }
    reply.reset()
    spareReply = reply
  }
}
