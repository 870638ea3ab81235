public import Core
public import Network
public import RPC

/// Serves the methods of a router to connections that speak gRPC over HTTP/2, whoever accepted them.
public final class GRPCEndpoint: ConnectionEndpoint {
  private let loops: [GRPCLoop]

  /// - Parameters:
  ///   - access: who may call; nil: everybody.
  ///   - maximumAgeSeconds: after which a connection is drained, give or take a tenth; 0 for never.
  public init(
    router: RPCRouter, group: EventLoopGroup, access: (any RPCAccess)? = nil, limits: GRPCLimits = GRPCLimits(),
    maximumAgeSeconds: Double = 0, logger: Logger
  ) {
    loops = group.loops.map {
      GRPCLoop(
        eventLoop: $0, router: router, access: access, limits: limits, maximumAgeSeconds: maximumAgeSeconds,
        logger: logger)
    }
  }

  public func open(_ connection: Connection) -> any ConnectionProtocol {
    loops[connection.loop.index].open(connection)
  }

  /// Sends GOAWAY on every connection.
  public func drain() {
    for loop in loops { loop.eventLoop.execute { loop.drain() } }
  }

  public func close() {
    for loop in loops { loop.eventLoop.execute { loop.closeAll() } }
  }

  /// The sum of a counter over the loops. Any thread.
  public func counter(_ counter: GRPCCounter) -> UInt64 {
    loops.reduce(0) { $0 &+ $1.counters.read(counter) }
  }

  /// The calls that have ended. Any thread.
  public var calls: [CallMeter.Calls] { CallMeter.calls(loops.map(\.calls)) }
}
