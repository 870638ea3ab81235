internal import Core
internal import Network
internal import RPC

/// What the gRPC connections of one loop share.
final class GRPCLoop: @unchecked Sendable {
  // Safe to share: what is marked "loop thread" is touched by the thread of `eventLoop` alone, the rest never changes.
  let eventLoop: EventLoop
  let router: RPCRouter
  /// Nil: everybody may do everything.
  let access: (any RPCAccess)?
  let limits: GRPCLimits
  let counters = TransportCounters<GRPCCounter>()
  let calls: CallMeter
  private let maximumAgeSeconds: Double
  private let logger: RateLimitedLogger
  private var connections: [ObjectIdentifier: GRPCConnection] = [:]  // loop thread
  private var unticked: ArraySlice<GRPCConnection> = []  // loop thread
  private var spareStreams: [GRPCStream] = []  // loop thread
  private var ticker: (any RPCTimer)?  // loop thread
  private var isDraining = false  // loop thread
  private var isClosed = false  // loop thread

  init(
    eventLoop: EventLoop, router: RPCRouter, access: (any RPCAccess)?, limits: GRPCLimits, maximumAgeSeconds: Double,
    logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.router = router
    calls = CallMeter(router, loop: eventLoop)
    self.access = access
    self.limits = limits
    self.maximumAgeSeconds = maximumAgeSeconds
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
      grpc.limitAge(seconds: maximumAgeSeconds)
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

  /// One timer for all connections: what it looks at may be late by a tick.
  private func tick() {
    ticker = eventLoop.schedule(afterSeconds: limits.tickSeconds) { [weak self] in
      guard let self else { return }
      tick()
      let isUnderWay = !unticked.isEmpty
      unticked = Array(connections.values)[...]
      if !isUnderWay { tickSome() }
    }
  }

  /// Looks at some of the connections, and at the others in the next iterations of the loop: the work of one does not
  /// grow with what clients hold open.
  private func tickSome() {
    let now = MonotonicTime.now
    var units = 0
    while units < Limits.tickUnits, let connection = unticked.popFirst() {
      units += 1 + connection.openStreamCount
      connection.tick(now)
    }
    if unticked.isEmpty {
      // A slice keeps alive what has been taken from it.
      unticked = []
    } else {
      eventLoop.execute { self.tickSome() }
    }
  }

  /// A client did something wrong, and its call or its connection was ended. A few lines a minute for each event.
  func report(_ event: String, _ problem: String, peer: @autoclosure () -> String) {
    logger.log(.warning, event, reason: event, problem, ["peer": .string(peer())])
  }

  func takeStream() -> GRPCStream {
    spareStreams.popLast() ?? GRPCStream()
  }

  func giveBack(_ stream: GRPCStream) {
    guard !stream.isShared, spareStreams.count < Limits.keptStreams else { return }
    stream.recycle()
    spareStreams.append(stream)
  }
}
