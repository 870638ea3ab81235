// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

/// The state that the framed connections of one event loop share.
final class FramedLoop: @unchecked Sendable {
  // This is safe to share: members marked "loop thread" are used by the thread of `eventLoop` only, the others are
  // constant.
  let eventLoop: EventLoop
  let router: RPCRouter
  let plainMethods: PlainMethods
  let plainBatch = PlainBatch()  // loop thread
  /// Nil if no credentials are required.
  let access: (any RPCAccess)?
  let limits: FramedLimits
  let counters = TransportCounters<FramedCounter>()
  let calls: CallMeter
  private let logger: RateLimitedLogger
  private var connections: [ObjectIdentifier: FramedConnection] = [:]  // loop thread
  /// The reply that one call after the other fills, so that its storage is reused.
  let reply = UnsafeMutablePointer<RPCReply>.allocate(capacity: 1)  // loop thread
  /// Whether `reply` is in use. A handler may cause another call to be answered while it runs.
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

  /// Logs that a connection was closed because of its client. The log lines are rate-limited for each event.
  func report(_ event: String, _ problem: String, peer: @autoclosure () -> String) {
    logger.log(.warning, event, reason: event, problem, ["peer": .string(peer())])
  }

  /// Passes an empty reply, whose storage is reused, to `body`.
  @inline(__always)
  func withReply(_ body: (inout RPCReply) -> Void) {
    if isReplyTaken {
      var other = RPCReply()
      return body(&other)
    }
    isReplyTaken = true
    body(&reply.pointee)
    isReplyTaken = false
    if reply.pointee.head.capacity <= FramedLimits.keptReplyBytes {
      reply.pointee.reset()
    } else {
      reply.pointee = RPCReply()
    }
  }
}
