// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import Glibc
import TestSupport
import Testing

@testable import FramedTransport

extension SocketTests {
  /// Tests of each limit: the error that the client receives, the counter, and that other clients are not affected.
  @Suite struct LimitTests {
    @Test func openCallsAreBounded() throws {
      let report = LimitReport()
      var limits = FramedLimits()
      limits.openCalls = 100
      try withServer(limits: limits, report: report) { test throws in
        let (client, other) = (try test.client(), try test.client())
        var ids: [UInt32] = []
        for _ in 0..<100 { ids.append(try client.openCall("Hold")) }
        let refused = try client.call("Hold").status
        #expect(refused.reason == .callsPerConnectionLimit && refused.message.contains("100 calls"))
        #expect(report.count(.callsPerConnection) == 1)
        // A call that is answered at once does not count as open.
        #expect(try client.call("Echo").status == .ok && other.call("Echo").status == .ok)
        for id in ids { try client.cancel(id) }
        try client.ping(1, deadline: soon())
        #expect(test.log.now.cancelled == 100)
      }
    }

    @Test func aFrameThatIsTooLongIsCounted() throws {
      let log = CapturedLog()
      let report = LimitReport(log.logger)
      var limits = FramedLimits()
      limits.frameBytes = 1000
      try withServer(limits: limits, report: report) { test throws in
        let (client, other) = (try test.client(), try test.client())
        #expect(try client.call("Echo", [UInt8](repeating: 1, count: 900)).status == .ok)
        let error = #expect(throws: RPCClientError.self) {
          try client.call("Echo", [UInt8](repeating: 1, count: 1000))
        }
        #expect(error?.code == .goAway && error.map { "\($0)".contains("the limit is 1000") } == true)
        #expect(report.count(.requestBytes) == 1 && report.count(.connections) == 0)
        let line = log.lines(event: "limit_reached").first
        #expect(line?.contains("\"limit\":\"request_bytes\"") == true && line?.contains("127.0.0.1:") == true)
        #expect(try other.call("Echo").status == .ok)
      }
    }

    @Test func idleConnectionsAreDrained() throws {
      let report = LimitReport()
      var limits = FramedLimits()
      limits.idleTimeout = .milliseconds(50)
      try withServer(limits: limits, report: report) { test throws in
        let watcher = try test.client()
        let stream = try watcher.openCall("HoldUntilDrained")
        let client = try test.client()
        #expect(try client.nextEvent(deadline: soon()) == .goAway(reason: "idle"))
        eventually("closed") { test.server.connectionCount == 1 }
        #expect(report.count(.idleConnection) == 1)
        // A connection with an open call is not idle.
        try watcher.ping(1, deadline: soon())
        try watcher.cancel(stream)
        #expect(try watcher.nextEvent(deadline: soon()) == .goAway(reason: "idle"))
      }
    }

    @Test func whatWaitsForAllIsBounded() throws {
      let log = CapturedLog()
      let report = LimitReport(log.logger)
      let buffers = BufferBudget(limit: 8 * 1024 * 1024, report: report)
      try withServer(report: report, buffers: buffers) { test throws in
        let other = try test.client()
        let stream = try other.openCall("Hold")
        let lazy = try test.raw()
        lazy.shrinkReceiveBuffer()
        // The reply has 16 MiB, and is not read.
        lazy.sendAll(FramedClient.encodeCall(id: 1, "Large", []))
        eventually("it is cut") { report.count(.bufferedBytes) == 1 && test.server.connectionCount == 1 }
        #expect(!buffers.isExceeded && buffers.byteCount < 1024 * 1024)
        #expect(log.lines(event: "limit_reached").first?.contains("\"limit\":\"buffered_bytes\"") == true)
        #expect(try other.call("Echo").status == .ok)
        try other.cancel(stream)
        try other.ping(1, deadline: soon())
      }
    }

    /// Regression test: the metadata of a `Hello`, which requires no token, was kept for each connection and not
    /// counted.
    @Test func whatHelloBringsIsCounted() throws {
      let report = LimitReport()
      let buffers = BufferBudget(limit: 512 * 1024, report: report)
      try withServer(report: report, buffers: buffers) { test throws in
        var hello = RPCMetadata()
        for number in 0..<32 { hello.append("key-\(number)", String(repeating: "x", count: 200)) }
        var clients: [FramedClient] = []
        for _ in 0..<16 {
          clients.append(try test.client())
          #expect(try clients.last?.call("Hello", metadata: hello).status == .ok)
        }
        #expect(buffers.byteCount > 16 * 32 * 200 && !buffers.isExceeded)
        for _ in 0..<64 where report.count(.bufferedBytes) == 0 {
          clients.append(try test.client())
          _ = try? clients.last?.call("Hello", metadata: hello)
        }
        eventually("some are disconnected") { report.count(.bufferedBytes) > 0 && !buffers.isExceeded }
        for client in clients { client.close() }
        eventually("all is released") { buffers.byteCount < 32 * 1024 }
      }
    }

    @Test func whileTooMuchWaitsNothingMoreMayCome() throws {
      let report = LimitReport()
      let buffers = BufferBudget(limit: 1024 * 1024, report: report)
      try withServer(report: report, buffers: buffers) { test throws in
        let other = try test.client()
        #expect(try other.call("Echo").status == .ok)
        let hoard = Hoard()
        let account = BufferAccount(buffers)
        account.change(hoard, from: 0, to: 2 * 1024 * 1024)
        for refused in try [other.call("Hold"), other.call("Wait", [1])] {
          #expect(refused.status.reason == .bufferedBytesLimit && refused.status.message.contains("bytes are buffered"))
        }
        #expect(throws: RPCClientError.self) { try test.client().call("Echo") }
        #expect(report.count(.bufferedBytes) == 3)
        // A call that is answered at once needs no room.
        #expect(try other.call("Echo").status == .ok)
        account.change(hoard, from: 2 * 1024 * 1024, to: 0)
        #expect(try other.call("Wait", [1]).status == .ok && test.client().call("Echo").status == .ok)
      }
    }

    @Test func oneAddressCannotTakeAllPlaces() throws {
      let log = CapturedLog()
      let report = LimitReport(log.logger)
      try withServer(report: report, { $0.maximumConnectionsPerAddress = 2 }) { test throws in
        let (first, second) = (try test.client(), try test.client())
        #expect(try first.call("Echo").status == .ok && second.call("Echo").status == .ok)
        #expect(throws: RPCClientError.self) { try test.client().call("Echo") }
        #expect(report.count(.connectionsPerAddress) == 1)
        #expect(log.lines(event: "limit_reached").first?.contains("connections_per_address") == true)
        // A connection from another address is accepted.
        let other = try connectedFrom(0x7f00_0002, to: test.address)
        #expect(try other.call("Echo").status == .ok)
        #expect(test.server.connectionCount == 3)
        first.close()
        eventually("room again") { test.server.connectionCount < 3 }
        #expect(try test.client().call("Echo").status == .ok)
      }
    }
  }
}

/// A holder that does not release its bytes.
private final class Hoard: BufferHolder {
  let bufferedByteCount = 0
  func giveUpBuffers() {}
}

/// Creates a client that connects from the given IPv4 address.
private func connectedFrom(_ host: UInt32, to address: HostAndPort) throws -> FramedClient {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  var own = sockaddr_in()
  own.sin_family = sa_family_t(AF_INET)
  own.sin_addr.s_addr = host.bigEndian
  let isBound = withUnsafePointer(to: &own) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
  guard isBound, atLoopback(address.port, descriptor, connect) else {
    close(descriptor)
    throw TestFailure("no connection from \(host): \(systemMessage(errno))")
  }
  _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
  return FramedClient(adopting: descriptor, of: address)
}
