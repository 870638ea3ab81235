// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

/// The state that the gRPC connections of one event loop share.
final class GRPCLoop: @unchecked Sendable {
  // This is safe to share: members marked "loop thread" are used by the thread of `eventLoop` only, the others are
  // constant.
  let eventLoop: EventLoop
  let router: RPCRouter
  /// Nil if no credentials are required.
  let access: (any RPCAccess)?
  let limits: GRPCLimits
  let counters = TransportCounters<GRPCCounter>()
  let calls: CallMeter
  private let maximumAge: Duration
  private let logger: RateLimitedLogger
  private var connections: [ObjectIdentifier: GRPCConnection] = [:]  // loop thread
  private var unticked: ArraySlice<GRPCConnection> = []  // loop thread
  private var spareStreams: [GRPCStream] = []  // loop thread
  private var ticker: (any RPCTimer)?  // loop thread
  private var isDraining = false  // loop thread
  private var isClosed = false  // loop thread

  init(
    eventLoop: EventLoop, router: RPCRouter, access: (any RPCAccess)?, limits: GRPCLimits, maximumAge: Duration,
    logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.router = router
    calls = CallMeter(router, loop: eventLoop)
    self.access = access
    self.limits = limits
    self.maximumAge = maximumAge
    self.logger = RateLimitedLogger(logger)
  }

  func open(_ connection: Connection) -> any ConnectionProtocol {
    let grpc = GRPCConnection(connection, loop: self)
    connections[ObjectIdentifier(grpc)] = grpc
    if isClosed {
      connection.close()
    } else if isDraining {
      grpc.drain("draining")
    } else {
      grpc.limitAge(maximumAge)
    }
    if ticker == nil { tick() }
    return grpc
  }

  func remove(_ connection: GRPCConnection) {
    connections[ObjectIdentifier(connection)] = nil
    guard connections.isEmpty else { return }
    ticker?.cancel()
    ticker = nil
  }

  func drain() {
    isDraining = true
    for connection in Array(connections.values) { connection.drain("draining") }
  }

  func closeAll() {
    isClosed = true
    for connection in Array(connections.values) { connection.close() }
  }

  /// Starts the one timer of all connections. The timeouts that it checks may be late by one tick.
  private func tick() {
    ticker = eventLoop.schedule(after: limits.tickInterval) { [weak self] in
      guard let self else { return }
      tick()
      let isUnderWay = !unticked.isEmpty
      unticked = Array(connections.values)[...]
      if !isUnderWay { tickSome() }
    }
  }

  /// Checks the timeouts of some of the connections, and of the others in the next event-loop iterations, so that the
  /// work of one iteration does not grow with the number of calls that clients have open.
  private func tickSome() {
    let now = MonotonicTime.now
    var units = 0
    while units < GRPCLimits.tickUnits, let connection = unticked.popFirst() {
      units += 1 + connection.openStreamCount
      connection.tick(now)
    }
    if unticked.isEmpty {
      // A slice keeps its removed elements alive.
      unticked = []
    } else {
      eventLoop.execute { self.tickSome() }
    }
  }

  /// Logs that a call or a connection was ended because of its client. The log lines are rate-limited for each event.
  func report(_ event: String, _ problem: String, peer: @autoclosure () -> String) {
    logger.log(.warning, event, reason: event, problem, ["peer": .string(peer())])
  }

  func takeStream() -> GRPCStream {
    spareStreams.popLast() ?? GRPCStream()
  }

  func release(_ stream: GRPCStream) {
    guard !stream.isShared, spareStreams.count < GRPCLimits.keptStreams else { return }
    stream.recycle()
    spareStreams.append(stream)
  }
}
