// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import TestSupport
import Testing

@testable import FramedTransport

extension SocketTests {
  /// Tests of clients that send frames that have no effect.
  struct FloodTests {
    /// Repeatedly opening and cancelling calls makes the server do useless work.
    @Test(arguments: ["Hold", "Costly"]) func openAndCancelIsAFlood(method: String) throws {
      let log = CapturedLog()
      try withServer(logger: log.logger) { test throws in
        let socket = try test.raw()
        var bytes: [UInt8] = []
        for id in 1...5000 as ClosedRange<UInt32> {
          bytes += FramedClient.encodeCall(id: id, method) + FrameEncoder.cancel(id: id)
        }
        socket.sendAll(bytes)
        #expect(socket.readToEnd() != nil)
        eventually("counted") { test.endpoint.counter(.floods) == 1 }
        #expect(test.log.now.opened < (method == "Hold" ? 2200 : 60))
        #expect(log.lines(event: "framed_flood").count == 1)
        #expect(try test.client().call("Echo", [1]).status == .ok)
      }
    }

    /// A client may cancel all calls of a connection, twice.
    @Test func cancellingAllCallsIsNoFlood() throws {
      try withServer { test throws in
        let client = try test.client()
        for _ in 0..<2 {
          for id in 1...990 as ClosedRange<UInt32> { try client.send(FramedClient.encodeCall(id: id, "Hold")) }
          for id in 1...990 as ClosedRange<UInt32> { try client.send(FrameEncoder.cancel(id: id)) }
        }
        #expect(try client.call("Echo", [1]).status == .ok)
        #expect(test.endpoint.counter(.floods) == 0)
      }
    }

    /// Regression test: time in which the handler did not run was charged to the client that cancelled.
    @Test func cancelledCallsAreChargedForProcessorTimeOnly() throws {
      try withServer { test throws in
        let client = try test.client()
        for id in 1...100 as ClosedRange<UInt32> { try client.send(FramedClient.encodeCall(id: id, "Kept waiting")) }
        for id in 1...100 as ClosedRange<UInt32> { try client.send(FrameEncoder.cancel(id: id)) }
        #expect(try client.call("Echo", [1]).status == .ok)
        #expect(test.endpoint.counter(.floods) == 0)
      }
    }

    /// A connection that sends many bytes is read with low priority, so the call of another connection does not wait
    /// for all of its calls.
    @Test func aShortRequestIsReadBeforeALongPipeline() throws {
      try withServer(loops: 1) { test throws in
        let client = try test.client()
        #expect(try client.call("Echo", [1]).status == .ok)
        let socket = try test.raw()
        socket.sendAll((1...900 as ClosedRange<UInt32>).flatMap { FramedClient.encodeCall(id: $0, "Costly") })
        eventually("the first of them are taken") { test.log.now.opened > 0 }
        #expect(try client.call("Echo", [1]).status == .ok)
        let opened = test.log.now.opened
        #expect(opened < 900, "all of them came first")
      }
    }

    /// Costly calls that one read brings are spread over event-loop iterations: the other one's call comes in between.
    @Test func costlyCallsOfOneReadAreSpread() throws {
      try withServer(loops: 1) { test throws in
        let client = try test.client()
        #expect(try client.call("Echo", [1]).status == .ok)
        let socket = try test.raw()
        socket.sendAll((1...40 as ClosedRange<UInt32>).flatMap { FramedClient.encodeCall(id: $0, "Costly") })
        eventually("the first of them is open") { test.log.now.opened > 0 }
        #expect(try client.call("Echo", [1]).status == .ok)
        let opened = test.log.now.opened
        #expect(opened < 40, "all of them came first")
        eventually("the rest follows") { test.log.now.opened == 40 }
      }
    }

    @Test func pingsCanBeAFlood() throws {
      var limits = FramedLimits()
      limits.floodCredits = 100
      try withServer(limits: limits) { test throws in
        let socket = try test.raw()
        for nonce in 1...200 { socket.sendAll(FrameEncoder.ping(UInt64(nonce))) }
        #expect(socket.readToEnd() != nil)
        eventually("counted") { test.endpoint.counter(.floods) == 1 }
      }
    }
  }
}
