// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import ConfigLookupTLS
internal import TestSupport
internal import Testing

@testable internal import GRPCTransport

/// Tests of the client with the server of this package, over real sockets.
@Suite(.serialized) struct GRPCClientTests {
  @Test func aCallHasOneReply() throws {
    try withEchoServer { server in
      let client = try server.client()
      for size in [0, 1, 16_384, 65_536] {
        let request = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try client.call("Echo", request) == RPCClientReply(status: .ok, payload: request))
      }
      #expect(try client.call("test/Echo", [1]).payload == [1], "a method may be named with its service")
      let unknown = try client.call("other.v1.Service/Method")
      #expect(unknown.status == RPCStatus(.unknownMethod, "unknown method \"/other.v1.Service/Method\""))
    }
  }

  @Test func manyCallsAreOpenAtOnce() throws {
    try withEchoServer { server in
      let client = try server.client()
      let ids = try (0..<2000).map { try client.openCall("Echo", [UInt8(truncatingIfNeeded: $0)]) }
      for (index, id) in ids.enumerated().reversed() {
        #expect(try client.nextReply(id, deadline: soon()).payload == [UInt8(truncatingIfNeeded: index)])
      }
      try client.openCounted(
        (0..<500).map { RPCOutgoingCall($0 % 5 == 0 ? "Fail" : "Echo", [1], isStream: false) })
      #expect(try client.countReplies(300, deadline: soon()) + client.countReplies(200, deadline: soon()) == 100)
      #expect(client.calls.isEmpty)
    }
  }

  @Test func metadataTravelsBothWaysAndAStatusIsNamed() throws {
    try withEchoServer { server in
      let client = try server.client()
      var metadata = RPCMetadata()
      metadata.append("x-one", "1")
      metadata.append("x-two", "a")
      metadata.append("x-two", "b")
      let reply = try client.call("Metadata", metadata: metadata)
      #expect(reply.status == .ok && reply.metadata.pairs.map(\.value) == ["1", "a", "b"])
      client.metadata = metadata
      #expect(try client.call("Metadata", metadata: metadata).metadata.pairs.count == 6, "the client's own come first")
      client.metadata = RPCMetadata()
      let failure = try client.call("Fail")
      #expect(failure.status == RPCStatus(clientSide: .notFound, "no key \"ä\" 100%") && failure.payload.isEmpty)
      #expect(failure.metadata["configlookup-epoch"] == "e1")
    }
  }

  @Test func aDeadlineIsTheServers() throws {
    try withEchoServer { server in
      let client = try server.client()
      #expect(try client.call("Deadline", timeout: .milliseconds(90_000)).payload == [90])
      #expect(try client.call("Deadline", timeout: .milliseconds(150_000_000)).payload == [255])
      let id = try client.openStream("Hold", timeout: .milliseconds(20))
      #expect(try client.nextReply(id, deadline: soon()).status.reason == .deadlineExceeded)
      let late = #expect(throws: RPCClientError.self) {
        try client.nextReply(client.openStream("Hold"), deadline: .now.advanced(by: .milliseconds(10)))
      }
      #expect(late?.code == .timedOut)
    }
  }

  @Test(arguments: [65_535, 1024 * 1024]) func aReplyMayBeLargerThanTheWindow(windowBytes: Int) throws {
    try withEchoServer { server in
      let client = try server.client(windowBytes: windowBytes)
      let reply = try client.call("Large")
      #expect(reply.status == .ok && reply.payload == largePayload)
      #expect(try client.call("Echo", [1]).payload == [1], "the windows are open again")
    }
  }

  @Test func aStreamIsRepliesWithMoreAndThenAnEnd() throws {
    try withEchoServer { server in
      let client = try server.client()
      let id = try client.openStream("Count", [200])
      for number in 0..<200 {
        let reply = try client.nextReply(id, deadline: soon())
        #expect(reply.more && reply.payload == [UInt8(number)])
      }
      #expect(try client.nextReply(id, deadline: soon()) == RPCClientReply(status: .ok))
      #expect(throws: RPCClientError.self) { try client.nextReply(id, deadline: soon()) }
      let refused = try client.openStream("Refuse")
      #expect(
        try client.nextReply(refused, deadline: soon()).status == RPCStatus(clientSide: .permissionDenied, "not you"))
    }
  }

  @Test func aCancelledStreamEndsAtTheServer() throws {
    try withEchoServer { server in
      let client = try server.client()
      let id = try client.openStream("Hold")
      try client.ping(1, deadline: soon())
      #expect(server.cancelled.withLock { $0 } == 0)
      try client.cancel(id)
      try client.ping(2, deadline: soon())
      #expect(server.cancelled.withLock { $0 } == 1)
      try client.cancel(client.openCall("Echo"))
      #expect(try client.call("Echo", [1]).payload == [1])
    }
  }

  @Test func aDrainingServerSaysSoAndFinishesWhatIsOpen() throws {
    try withEchoServer { server in
      let client = try server.client()
      let id = try client.openStream("Hold")
      try client.ping(1, deadline: soon())
      server.endpoint.drain()
      // This stream ends because of the drain.
      #expect(try client.nextReply(id, deadline: soon()).status == RPCStatus.ok)
      let end = #expect(throws: RPCClientError.self) { try client.ping(2, deadline: soon()) }
      #expect(end?.code == .goAway && client.goAwayReason == "NO_ERROR")
      let refused = #expect(throws: RPCClientError.self) { try client.openCall("Echo") }
      #expect(refused?.code == .goAway)
    }
  }

  @Test func tlsWithHTTP2IsAgreedOn() throws {
    try temporaryFolder { folder in
      let authority = try TestAuthority(folder)
      let pair = try authority.issueServer()
      let files = TLSFiles(certificate: pair.certificate, key: pair.key)
      try withEchoServer(tls: TLSServer(files, protocols: ["h2"])) { server in
        let trusting = try TLSContext(clientTrusting: authority.certificate, protocols: ["h2"])
        let client = try server.client(tls: trusting)
        #expect(try client.call("Echo", [1]).payload == [1])
        #expect(try client.call("Large").payload == largePayload)
        let silent = try TLSContext(clientTrusting: authority.certificate)
        let error = #expect(throws: RPCClientError.self) { try server.client(tls: silent) }
        #expect(error?.code == .cannotConnect)
        let plain = #expect(throws: RPCClientError.self) { try server.client().call("Echo") }
        #expect(plain?.problem.hasSuffix("it may require TLS") == true)
      }
    }
  }
}

private let largePayload = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 >> 8) }

private struct EchoServer {
  let address: HostAndPort
  let endpoint: GRPCEndpoint
  let cancelled: Locked<Int>

  func client(tls: TLSContext? = nil, windowBytes: Int = 1024 * 1024) throws -> GRPCClient {
    try GRPCClient(address, service: "test", tls: tls, windowBytes: windowBytes)
  }
}

private func soon() -> MonotonicTime { .now.advanced(by: .seconds(120)) }

private func withEchoServer(tls: TLSServer? = nil, _ body: (EchoServer) throws -> Void) throws {
  let group = try EventLoopGroup(count: 1)
  defer { group.stop() }
  var configuration = ConnectionServer.Configuration(listen: HostAndPort(host: "127.0.0.1", port: 0))
  configuration.tls = tls
  let cancelled = Locked(0)
  let endpoint = GRPCEndpoint(router: echoRouter(cancelled), group: group, logger: .silent)
  let server = try ConnectionServer(endpoint: endpoint, group: group, configuration: configuration, logger: .silent)
  defer {
    server.stop()
    #expect(server.waitUntilDrained(deadline: soon()), "connections are left")
  }
  try body(EchoServer(address: server.address.hostAndPort, endpoint: endpoint, cancelled: cancelled))
}

private func echoRouter(_ cancelled: Locked<Int>) -> RPCRouter {
  func unary(
    _ name: String, _ body: @escaping @Sendable (borrowing RPCRequest, inout RPCReply) throws(RPCStatus) -> Void
  ) -> RPCMethod {
    RPCMethod(
      service: "test", name: name,
      handler: .unary { (request, reply) throws(RPCStatus) in
        try body(request, &reply)
        return nil
      })
  }
  func stream(
    _ name: String,
    _ body: @escaping @Sendable (borrowing RPCRequest, any RPCStreamWriter) throws(RPCStatus) -> any RPCStreamHandler
  ) -> RPCMethod {
    RPCMethod(
      service: "test", name: name,
      handler: .serverStreaming { (request, writer, _) throws(RPCStatus) in try body(request, writer) })
  }
  return RPCRouter([
    unary("Echo") { $1.body = Array($0.message) },
    unary("Fail") { (_, reply) throws(RPCStatus) in
      reply.metadata.append("configlookup-epoch", "e1")
      throw RPCStatus(clientSide: .notFound, "no key \"ä\" 100%")
    },
    unary("Metadata") { request, reply in reply.metadata = request.metadata },
    unary("Deadline") { request, reply in
      let seconds = request.deadline.map { $0.duration(since: .now).seconds.rounded() } ?? 0
      reply.body = [UInt8(min(seconds, 255))]
    },
    unary("Large") { $1.body = largePayload },
    stream("Count") { request, writer in
      for number in 0..<request.message[0] {
        var reply = RPCReply()
        reply.body = [number]
        writer.send(reply)
      }
      writer.finish(.ok, RPCMetadata())
      return HeldStream(writer, cancelled)
    },
    stream("Hold") { _, writer in HeldStream(writer, cancelled) },
    stream("Refuse") { (_, _) throws(RPCStatus) in throw RPCStatus(clientSide: .permissionDenied, "not you") },
  ])
}

/// A stream that ends when the connection drains.
private final class HeldStream: RPCStreamHandler {
  private let writer: any RPCStreamWriter
  private let cancelledCount: Locked<Int>

  init(_ writer: any RPCStreamWriter, _ cancelledCount: Locked<Int>) {
    self.writer = writer
    self.cancelledCount = cancelledCount
  }

  func writable() {}
  func cancelled() { cancelledCount.withLock { $0 += 1 } }
  func draining() { writer.finish(.ok, RPCMetadata()) }
}
