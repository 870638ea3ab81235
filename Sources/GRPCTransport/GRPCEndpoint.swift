// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupNetwork
public import ConfigLookupRPC

/// Serves the methods of a router on connections that use gRPC over HTTP/2.
public final class GRPCEndpoint: ConnectionEndpoint {
  private let loops: [GRPCLoop]

  /// Creates an endpoint.
  ///
  /// - Parameters:
  ///   - router: The methods.
  ///   - group: The event loops on which the connections run.
  ///   - access: Authenticates callers; nil if no credentials are required.
  ///   - limits: The limits of each connection.
  ///   - maximumAge: Age at which a connection is drained, plus or minus up to a tenth. Zero stands for no limit.
  ///   - logger: Receives log lines about calls and connections that are ended because of their clients.
  public init(
    router: RPCRouter, group: EventLoopGroup, access: (any RPCAccess)? = nil, limits: GRPCLimits = GRPCLimits(),
    maximumAge: Duration = .zero, logger: Logger
  ) {
    loops = group.loops.map {
      GRPCLoop(
        eventLoop: $0, router: router, access: access, limits: limits, maximumAge: maximumAge,
        logger: logger)
    }
  }

  /// Starts gRPC on a connection. To be called on the connection's event loop.
  ///
  /// - Parameter connection: The connection.
  /// - Returns: The protocol handler of the connection.
  public func open(_ connection: Connection) -> any ConnectionProtocol {
    loops[connection.loop.index].open(connection)
  }

  /// Sends GOAWAY on every connection, which closes when its open calls have ended. May be called from any thread.
  public func drain() {
    for loop in loops { loop.eventLoop.execute { loop.drain() } }
  }

  /// Closes every connection. May be called from any thread.
  public func close() {
    for loop in loops { loop.eventLoop.execute { loop.closeAll() } }
  }

  /// Returns the sum of a counter over all event loops. May be called from any thread.
  ///
  /// - Parameter counter: The counter.
  /// - Returns: The sum.
  public func counter(_ counter: GRPCCounter) -> UInt64 {
    loops.reduce(0) { $0 &+ $1.counters.read(counter) }
  }

  /// The calls that have ended, by method and status. May be read from any thread.
  public var calls: [CallMeter.Calls] { CallMeter.calls(loops.map(\.calls)) }
}
