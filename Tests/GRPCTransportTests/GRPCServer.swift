// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import GRPCTransport
import TestSupport
import Testing

/// Tests with real sockets, which run one at a time.
@Suite(.serialized) struct ConnectionTests {}

/// A server with the methods of ``testRouter(_:)``.
struct GRPCServer {
  struct Setting {
    var limits = GRPCLimits()
    var connection = ConnectionLimits()
    var maximumAge = Duration.zero
    var logger = Logger.silent
    var buffers = BufferBudget()
  }

  let server: ConnectionServer
  let endpoint: GRPCEndpoint
  let log: StreamLog

  func peer(settings: [UInt16: UInt32] = [4: 0x7fff_ffff]) throws -> HTTP2Peer {
    try HTTP2Peer(server.address.hostAndPort, settings: settings)
  }

  /// Waits until this number of calls have ended with the status. They are counted at the end of the event-loop
  /// iteration in which they are answered.
  func haveEnded(_ count: Int, _ status: RPCStatus.Code) throws {
    try poll("\(count) calls with \(status)") {
      endpoint.calls.filter { $0.status == status }.reduce(0) { $0 + Int($1.durations.count) } == count
    }
  }

  /// Runs a server on a free port, and stops it at the end.
  static func run(_ configure: (inout Setting) -> Void = { _ in }, _ body: (GRPCServer) throws -> Void) throws {
    var setting = Setting()
    setting.limits.tickInterval = .milliseconds(10)
    setting.connection.lingerTimeout = .milliseconds(10)
    configure(&setting)
    let group = try EventLoopGroup(count: 1, buffers: setting.buffers)
    defer { group.stop() }
    let log = StreamLog()
    let endpoint = GRPCEndpoint(
      router: testRouter(log), group: group, limits: setting.limits, maximumAge: setting.maximumAge,
      logger: setting.logger)
    var configuration = ConnectionServer.Configuration(listen: HostAndPort(host: "127.0.0.1", port: 0))
    configuration.limits = setting.connection
    let server = try ConnectionServer(
      endpoint: endpoint, group: group, configuration: configuration, logger: setting.logger)
    defer {
      server.stop()
      #expect(server.waitUntilDrained(deadline: soon()), "connections are left")
      #expect(endpoint.counter(.streamsOpened) == endpoint.counter(.streamsEnded), "streams are left")
    }
    try body(GRPCServer(server: server, endpoint: endpoint, log: log))
  }
}
