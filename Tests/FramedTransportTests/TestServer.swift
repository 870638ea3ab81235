// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import FramedTransport
import Glibc
import TestSupport
import Testing

struct TestServer {
  let server: ConnectionServer
  let endpoint: FramedEndpoint
  let group: EventLoopGroup
  let log: StreamLog

  var address: HostAndPort { server.address.hostAndPort }

  func client() throws -> FramedClient {
    try FramedClient(address)
  }

  func callCount(_ method: String, _ status: RPCStatus.Code) -> UInt64 {
    endpoint.calls.filter { $0.method.hasSuffix("/\(method)") && $0.status == status }
      .reduce(0) { $0 + $1.durations.count }
  }

  func raw() throws -> RawSocket {
    try RawSocket(address)
  }
}

/// Runs a server on a free port, and stops it at the end.
func withServer(
  loops: Int = 2, limits: FramedLimits = FramedLimits(), logger: Logger = .silent, report: LimitReport = LimitReport(),
  buffers: BufferBudget = BufferBudget(),
  _ configure: (inout ConnectionServer.Configuration) -> Void = { _ in },
  _ body: (TestServer) throws -> Void
) throws {
  let group = try EventLoopGroup(count: loops, buffers: buffers)
  defer { group.stop() }
  var configuration = ConnectionServer.Configuration(listen: HostAndPort(host: "127.0.0.1", port: 0))
  configure(&configuration)
  let log = StreamLog()
  let endpoint = FramedEndpoint(router: testRouter(log), group: group, limits: limits, logger: logger)
  let server = try ConnectionServer(
    endpoint: endpoint, group: group, configuration: configuration, logger: logger, report: report)
  defer {
    server.stop()
    #expect(server.waitUntilDrained(deadline: soon()), "connections are left")
  }
  try body(TestServer(server: server, endpoint: endpoint, group: group, log: log))
}

/// Waits for a condition.
func eventually(_ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool)
  rethrows
{
  let deadline = soon()
  while MonotonicTime.now < deadline {
    if try condition() { return }
    usleep(500)
  }
  Issue.record(what, sourceLocation: sourceLocation)
}

/// A socket on which a test can send any bytes.
final class RawSocket {
  private var descriptor: Int32

  init(_ address: HostAndPort) throws {
    descriptor = try connectSocket(to: address, deadline: soon())
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Reduces the receive buffer, so that the kernel holds few of the peer's bytes.
  func shrinkReceiveBuffer() {
    var size: Int32 = 4096
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
  }

  /// Sends the bytes that the socket accepts without blocking. Returns their number.
  func sendSome(_ bytes: [UInt8]) -> Int {
    max(0, bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) })
  }

  func sendAll(_ bytes: [UInt8]) {
    var rest = bytes[...]
    let deadline = soon()
    while !rest.isEmpty, waitForSocket(descriptor, writable: true, deadline: deadline) {
      let count = sendSome(Array(rest))
      if count == 0 { usleep(200) }
      rest = rest.dropFirst(count)
    }
  }

  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Reads until the peer closes; nil if the connection was reset or the peer does not close.
  func readToEnd() -> [UInt8]? {
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while waitForSocket(descriptor, writable: false, deadline: soon()) {
      let count = read(descriptor, &buffer, buffer.count)
      if count == 0 { return result }
      if count < 0 { return errno == EAGAIN ? nil : nil }
      result += buffer[..<count]
    }
    return nil
  }
}
