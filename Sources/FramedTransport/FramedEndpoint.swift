public import Core
public import Network
public import RPC

/// Serves the methods of a router to connections that speak frames, whoever accepted them.
public final class FramedEndpoint: ConnectionEndpoint {
  private let loops: [FramedLoop]

  /// The names of the router's methods must differ, across services too: frames know no services.
  ///
  /// - Parameter access: who may call; nil: everybody.
  public init(
    router: RPCRouter, group: EventLoopGroup, access: (any RPCAccess)? = nil, limits: FramedLimits = FramedLimits(),
    logger: Logger = .silent
  ) {
    precondition(Set(router.methods.map(\.name)).count == router.methods.count, "two methods of one name")
    loops = group.loops.map {
      FramedLoop(eventLoop: $0, router: router, access: access, limits: limits, logger: logger)
    }
  }

  public func open(_ connection: Connection) -> any ConnectionProtocol {
    loops[connection.loop.index].open(connection)
  }

  /// Sends `go_away` on every connection.
  public func drain() {
    for loop in loops { loop.eventLoop.execute { loop.drain() } }
  }

  public func close() {
    for loop in loops { loop.eventLoop.execute { loop.closeAll() } }
  }

  /// The sum of a counter over the loops. Any thread.
  public func counter(_ counter: FramedCounter) -> UInt64 {
    loops.reduce(0) { $0 &+ $1.counters.read(counter) }
  }

  /// The calls that have ended. Any thread.
  public var calls: [CallMeter.Calls] { CallMeter.calls(loops.map(\.calls)) }
}
