// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupNetwork
public import ConfigLookupRPC

/// Serves the methods of a router on connections that use the framed protocol.
public final class FramedEndpoint: ConnectionEndpoint {
  private let loops: [FramedLoop]

  /// Creates an endpoint.
  ///
  /// - Parameters:
  ///   - router: The methods. Their names must differ across services, too, because frames do not name the service.
  ///   - group: The event loops on which the connections run.
  ///   - access: Authenticates callers; nil if no credentials are required.
  ///   - limits: The limits of each connection.
  ///   - logger: Receives log lines about connections that are closed because of their clients.
  public init(
    router: RPCRouter, group: EventLoopGroup, access: (any RPCAccess)? = nil, limits: FramedLimits = FramedLimits(),
    logger: Logger = .silent
  ) {
    precondition(Set(router.methods.map(\.name)).count == router.methods.count, "two methods of one name")
    loops = group.loops.map {
      FramedLoop(eventLoop: $0, router: router, access: access, limits: limits, logger: logger)
    }
  }

  /// Starts the framed protocol on a connection. To be called on the connection's event loop.
  ///
  /// - Parameter connection: The connection.
  /// - Returns: The protocol handler of the connection.
  public func open(_ connection: Connection) -> any ConnectionProtocol {
    loops[connection.loop.index].open(connection)
  }

  /// Sends `go_away` on every connection, which closes when its open calls have ended. May be called from any thread.
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
  public func counter(_ counter: FramedCounter) -> UInt64 {
    loops.reduce(0) { $0 &+ $1.counters.read(counter) }
  }

  /// The calls that have ended, by method and status. May be read from any thread.
  public var calls: [CallMeter.Calls] { CallMeter.calls(loops.map(\.calls)) }
}
