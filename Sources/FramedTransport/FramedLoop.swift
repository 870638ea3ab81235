internal import Core
internal import Network
internal import RPC

/// What the framed connections of one loop share.
final class FramedLoop: @unchecked Sendable {
  // Safe to share: what is marked "loop thread" is touched by the thread of `eventLoop` alone, the rest never changes.
  let eventLoop: EventLoop
  let router: RPCRouter
  let plainMethods: PlainMethods
  let plainBatch = PlainBatch()  // loop thread
  /// Nil: everybody may do everything.
  let access: (any RPCAccess)?
  let limits: FramedLimits
  let counters = TransportCounters<FramedCounter>()
  let calls: CallMeter
  private let logger: RateLimitedLogger
  private var connections: [ObjectIdentifier: FramedConnection] = [:]  // loop thread
  /// Filled by one call after the other, so that its storage is used again.
  let reply = UnsafeMutablePointer<RPCReply>.allocate(capacity: 1)  // loop thread
  /// A handler may come to another call in its time.
  var isReplyTaken = false  // loop thread
  private var isDraining = false  // loop thread
  private var isClosed = false  // loop thread

  init(
    eventLoop: EventLoop, router: RPCRouter, access: (any RPCAccess)?, limits: FramedLimits, logger: Logger
  ) {
    self.logger = RateLimitedLogger(logger)
    self.eventLoop = eventLoop
    self.router = router
    plainMethods = PlainMethods(router, worker: eventLoop.index)
    calls = CallMeter(router, loop: eventLoop)
    self.access = access
    self.limits = limits
    reply.initialize(to: RPCReply())
  }

  deinit {
    reply.deinitialize(count: 1)
    reply.deallocate()
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

  /// A connection was ended for what its client did. A few lines a minute for each event.
  func report(_ event: String, _ problem: String, peer: @autoclosure () -> String) {
    logger.log(.warning, event, reason: event, problem, ["peer": .string(peer())])
  }

  /// Lends an empty reply, whose storage is used again.
  @inline(__always)
  func withReply(_ body: (inout RPCReply) -> Void) {
    if isReplyTaken {
      var other = RPCReply()
      return body(&other)
    }
    isReplyTaken = true
    body(&reply.pointee)
    isReplyTaken = false
    if reply.pointee.head.capacity <= Limits.keptReplyBytes {
      reply.pointee.reset()
    } else {
      reply.pointee = RPCReply()
    }
  }
}
