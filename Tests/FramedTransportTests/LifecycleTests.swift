// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import Foundation
import FramedTransport
import TestSupport
import Testing

extension SocketTests {
  /// Tests of starting, draining and stopping a server.
  struct LifecycleTests {
    @Test func drainingEndsConnectionsWhenTheirCallsHaveEnded() throws {
      // The clients in this test read to the end and do not close their side.
      try withServer({ $0.limits.lingerTimeout = .milliseconds(10) }) { test throws in
        let busy = try test.client()
        let stream = try busy.openCall("Hold")
        let idle = try test.client()
        #expect(try busy.call("Echo").status == .ok)
        #expect(try idle.call("Echo").status == .ok)
        test.server.drain()
        #expect(try busy.nextEvent(deadline: soon()) == .goAway(reason: "draining"))
        #expect(try idle.nextEvent(deadline: soon()) == .goAway(reason: "draining"))
        // This call was in transit when the go_away was sent.
        try busy.send(FramedClient.encodeCall(id: 900, "Echo"))
        #expect(try busy.nextReply(900, deadline: soon()).status.reason == .draining)
        #expect(throws: RPCClientError.self) { try busy.openCall("Echo") }
        let error = #expect(throws: RPCClientError.self) { try idle.nextEvent(deadline: soon()) }
        #expect(error?.code == .goAway)
        eventually("only the busy one is left") { test.server.connectionCount == 1 }
        #expect(test.log.now.drained == 1 && test.log.now.cancelled == 0)
        try busy.cancel(stream)
        #expect(throws: RPCClientError.self) { try busy.nextEvent(deadline: soon()) }
        #expect(test.server.waitUntilDrained(deadline: soon()))
        let refused = #expect(throws: RPCClientError.self) { try test.client() }
        #expect(refused?.code == .cannotConnect && refused?.description.contains("\(test.address)") == true)
      }
    }

    @Test func aStreamMayEndItselfWhenItsConnectionDrains() throws {
      try withServer { test throws in
        let client = try test.client()
        let id = try client.openCall("HoldUntilDrained")
        try client.ping(1, deadline: soon())
        test.server.drain()
        #expect(try client.nextReply(id, deadline: soon()).status == .ok)
        // A call that was in transit when the go_away was sent is answered, although the last stream has ended before
        // it.
        try client.send(FramedClient.encodeCall(id: 900, "Echo"))
        #expect(try client.nextReply(900, deadline: soon()).status.reason == .draining)
        #expect(test.log.now.cancelled == 0)
        client.close()
        #expect(test.server.waitUntilDrained(deadline: soon()))
      }
    }

    @Test func aConnectionOfItsAgeIsDrained() throws {
      var limits = FramedLimits()
      limits.maximumAge = .milliseconds(50)
      try withServer(limits: limits) { test throws in
        let client = try test.client()
        #expect(try client.nextEvent(deadline: soon()) == .goAway(reason: "draining"))
        // New connections are still accepted.
        #expect(try test.client().call("Echo").status == .ok)
      }
    }

    @Test func stoppingCancelsWhatIsOpen() throws {
      try withServer { test throws in
        let client = try test.client()
        _ = try client.openCall("Hold")
        try client.ping(1, deadline: soon())
        test.server.stop()
        #expect(test.server.waitUntilDrained(deadline: soon()))
        #expect(test.log.now.cancelled == 1)
        #expect(throws: RPCClientError.self) { try client.call("Echo") }
      }
    }

    @Test func anAddressInUseIsNamed() throws {
      try withServer { test throws in
        let error = #expect(throws: NetworkError.self) {
          _ = try ConnectionServer(
            endpoint: FramedEndpoint(router: RPCRouter([]), group: test.group), group: test.group,
            configuration: .init(listen: test.address), logger: .silent)
        }
        #expect(error?.code == .addressInUse && error?.message.contains("\(test.address)") == true)
      }
    }

    @Test(arguments: [
      ("127.0.0.1", NetworkError.Code.malformedAddress), ("::1:80", .malformedAddress), ("[::1:80", .malformedAddress),
      ("a:65536", .malformedAddress), ("a:", .malformedAddress), ("a:+1", .malformedAddress),
    ])
    func aMalformedAddressIsNamed(text: String, code: NetworkError.Code) {
      let error = #expect(throws: NetworkError.self) { try HostAndPort(text) }
      #expect(error?.code == code && error?.message.contains(text) == true)
    }

    @Test func addressesAreReadAndWritten() throws {
      #expect(try HostAndPort("[::1]:80") == HostAndPort(host: "::1", port: 80))
      #expect(try "\(HostAndPort("[::1]:80"))" == "[::1]:80")
      #expect(try HostAndPort("localhost:0") == HostAndPort(host: "localhost", port: 0))
    }

    @Test func anAddressThatIsNotOursIsRefused() throws {
      let group = try EventLoopGroup(count: 1)
      defer { group.stop() }
      for (host, code) in [
        ("192.0.2.1", NetworkError.Code.addressNotAvailable), ("no.such.host.invalid", .unknownHost),
      ] {
        let error = #expect(throws: NetworkError.self) {
          _ = try ConnectionServer(
            endpoint: FramedEndpoint(router: RPCRouter([]), group: group), group: group,
            configuration: .init(listen: HostAndPort(host: host, port: 1)),
            logger: .silent)
        }
        #expect(error?.code == code)
      }
    }

    @Test func connectionsLeaveNoDescriptorBehind() throws {
      func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
      try withServer { test throws in
        let before = try descriptors()
        for round in 0..<10 {
          let clients = try (0..<50).map { _ in try test.client() }
          for client in clients { #expect(try client.call("Echo", [1]).status == .ok) }
          if round % 2 == 0 { for client in clients { _ = try client.openCall("Hold") } }
          for client in clients { client.close() }
        }
        eventually("all closed") { test.server.connectionCount == 0 }
        #expect(test.group.counter(.connectionsAccepted) == 500)
        #expect(test.group.counter(.connectionsClosed) == 500)
        // Other tests in this process may open some descriptors in the meantime, but fewer than this.
        #expect(try descriptors() < before + 100)
      }
    }
  }
}
