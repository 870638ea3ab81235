// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import FramedTransport
import TestSupport
import Testing

extension SocketTests {
  /// Tests of clients that violate the protocol, or do not read.
  struct AbuseTests {
    /// Sends bytes and reads to the end of the connection. Returns the reason of the last frame, which must be a
    /// `go_away`.
    private func goAway(_ test: TestServer, _ bytes: [UInt8], skipping frames: Int = 0) throws -> String? {
      let socket = try test.raw()
      socket.sendAll(bytes)
      guard var rest = socket.readToEnd().map({ $0[...] }) else { return nil }
      for _ in 0...frames {
        guard rest.count >= 4 else { return nil }
        let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        let frame = Array(rest.dropFirst(4).prefix(length))
        rest = rest.dropFirst(4 + length)
        if rest.isEmpty, case .goAway(0, let reason) = PlainFrame(unpacking: frame) {
          return String(decoding: reason, as: UTF8.self)
        }
      }
      return nil
    }

    @Test(
      arguments: [
        ([0, 0, 0, 0], "an empty frame"),
        ([0x80, 0, 0, 0], "2147483648 bytes; the limit is 65536"),
        ([0xff, 0xff, 0xff, 0xff], "4294967295 bytes"),
        ([0, 1, 0, 1], "65537 bytes"),
        (Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), "looks like HTTP/1"),
        ([0x16, 0x03, 0x01, 0x02, 0x00, 0x01], "looks like TLS"),
        ([0, 0, 0, 3, 0xff, 0xff, 0xff], "a varint is truncated"),
        ([0, 0, 0, 2, 0x0a, 0x00], "call_id has wire type 2"),
        ([0, 0, 0, 4, 0x08, 1, 0x1a, 0], "only the server sends those"),
        ([0, 0, 0, 2, 0x3a, 0], "only the server sends those"),
      ] as [([UInt8], String)])
    func whatIsNoFrameGetsAGoAwayThatSaysWhyAndAnEnd(bytes: [UInt8], text: String) throws {
      try withServer { test throws in
        let reason = try goAway(test, bytes)
        #expect(reason?.contains(text) == true, "\(reason ?? "none")")
        // The reason also arrives if many more bytes follow.
        let padded = try goAway(test, bytes + [UInt8](repeating: 0xaa, count: 200_000))
        #expect(padded?.isEmpty == false)
        #expect(test.endpoint.counter(.protocolErrors) == 2)
      }
    }

    @Test func anIdThatIsStillOpenEndsTheConnectionAndIsNamed() throws {
      try withServer { test throws in
        let twice = FramedClient.encodeCall(id: 4711, "Hold") + FramedClient.encodeCall(id: 4711, "Echo")
        #expect(try goAway(test, twice)?.contains("4711") == true)
        eventually("cancelled") { test.log.now.cancelled == 1 }
      }
    }

    @Test func aFrameWithNoBodyThatIsKnownIsIgnored() throws {
      try withServer { test throws in
        let client = try test.client()
        try client.send([0, 0, 0, 2, 0x08, 5, 0, 0, 0, 4, 0x42, 2, 0x08, 1, 0, 0, 0, 2, 0x32, 0])
        #expect(try client.call("Echo", [1]).status == .ok)
      }
    }

    @Test func aFrameThatIsNotEndedInTimeIsGivenUp() throws {
      try withServer({ $0.limits.incompleteInputTimeout = .milliseconds(50) }) { test throws in
        #expect(try goAway(test, [0, 0, 0])?.contains("not completed in time") == true)
        #expect(try goAway(test, [0, 0, 0, 50, 1, 2, 3])?.contains("not completed in time") == true)
      }
    }

    @Test func aClientThatDoesNotReadItsStreamCostsABoundAndNobodyElse() throws {
      try withServer(loops: 1) { test throws in
        let slow = try test.raw()
        slow.shrinkReceiveBuffer()
        slow.sendAll(FramedClient.encodeCall(id: 1, "Flood"))
        eventually("told to wait") { test.log.now.blocked >= 1 }
        let client = try test.client()
        for _ in 0..<100 { #expect(try client.call("Echo", [1]).status == .ok) }
        // The bytes in the kernel's buffers are not counted; the rest is below the high-water mark plus one message.
        eventually("bounded") {
          let unsent = test.log.now.payloadBytes - Int(test.group.counter(.bytesSent))
          return unsent < ConnectionLimits().unsentBytesHigh + 17 * 1024
        }
        slow.close()
        eventually("cancelled") { test.log.now.cancelled == 1 }
      }
    }

    @Test func aStreamGoesOnWhenItsClientReadsAgain() throws {
      try withServer { test throws in
        let client = try test.client()
        let id = try client.openCall("Flood")
        eventually("told to wait") { test.log.now.blocked >= 1 }
        let before = test.log.now.payloadBytes
        while test.log.now.payloadBytes < before + 4_000_000 {
          #expect(try client.nextReply(id, deadline: soon()).payload.count == 16 * 1024 + 1)
        }
        #expect(test.log.now.resumed > 0)
      }
    }

    @Test func allBlockedStreamsGetTheirTurn() throws {
      try withServer { test throws in
        let client = try test.client()
        let ids = try (0..<20).map { _ in try client.openCall("Flood") }
        for id in ids {
          for _ in 0..<5 { #expect(try client.nextReply(id, deadline: soon()).more) }
        }
      }
    }

    /// Regression test: a stream that always had more to send kept the connection full, and the cancellation was never
    /// read.
    @Test func aStreamThatAlwaysHasMoreCanBeCancelled() throws {
      try withServer { test throws in
        let client = try test.client()
        let id = try client.openCall("Flood")
        for _ in 0..<100 { #expect(try client.nextReply(id, deadline: soon()).more) }
        try client.cancel(id)
        try client.ping(1, deadline: soon())
        #expect(test.log.now.cancelled == 1)
      }
    }

    @Test func aClientThatPipelinesAndNeverReadsIsNotReadFurther() throws {
      try withServer(loops: 1) { test throws in
        let socket = try test.raw()
        socket.shrinkReceiveBuffer()
        let frame = FramedClient.encodeCall(id: 1, "Echo", [UInt8](repeating: 1, count: 1000))
        let total = 100_000
        let block = Array(repeating: frame, count: 100).flatMap { $0 }
        var sent = 0
        // This sends until the server accepts no more bytes: it has then stopped reading, and the kernel's buffers are
        // full.
        var refusals = 0
        while sent < total * frame.count, refusals < 200 {
          let count = socket.sendSome(block)
          sent += count
          if count > 0 {
            refusals = 0
          } else {
            refusals += 1
            _ = try test.client().call("Echo", [1])
          }
        }
        #expect(sent < total * frame.count, "all was taken")
        let received = Int(test.group.counter(.bytesReceived))
        let answered = Int(test.group.counter(.bytesSent))
        #expect(received - answered < 600 * 1024, "held: \(received - answered)")
      }
    }

    @Test func aClientThatPipelinesAndReadsLateGetsEveryAnswer() throws {
      try withServer { test throws in
        let client = try test.client()
        let total = 20_000
        let request = [UInt8](repeating: 1, count: 1000)
        try client.send((0..<total).flatMap { FramedClient.encodeCall(id: UInt32($0), "Echo", request) })
        #expect(try client.countReplies(total, deadline: soon()) == 0)
      }
    }

    @Test func aClientThatTakesNothingForTooLongIsCut() throws {
      try withServer({ $0.limits.stalledWriteTimeout = .milliseconds(100) }) { test throws in
        let socket = try test.raw()
        socket.shrinkReceiveBuffer()
        socket.sendAll(FramedClient.encodeCall(id: 1, "Flood"))
        eventually("cut") { test.log.now.cancelled == 1 }
        #expect(test.group.counter(.connectionsStalled) == 1)
      }
    }

    @Test func aStreamThatSendsRegardlessLosesItsConnectionAtTheLimit() throws {
      try withServer({ $0.limits.unsentBytesLimit = 1024 * 1024 }) { test throws in
        let socket = try test.raw()
        socket.sendAll(FramedClient.encodeCall(id: 1, "Hold") + FramedClient.encodeCall(id: 2, "Careless"))
        // `Careless` had ended by itself before the connection was closed; `Hold` was cancelled.
        eventually("cancelled") { test.log.now.cancelled == 1 }
        eventually("closed") { test.server.connectionCount == 0 }
        #expect(test.group.counter(.connectionsStalled) == 1)
        #expect(try test.client().call("Echo", [1]).status == .ok)
      }
    }

    /// The connection closes while the service is still opening the call. The service must be notified, or it keeps the
    /// stream.
    @Test func aStreamThatLosesItsConnectionAsItBeginsIsCancelled() throws {
      try withServer({ $0.limits.unsentBytesLimit = 1024 * 1024 }) { test throws in
        let socket = try test.raw()
        socket.sendAll(FramedClient.encodeCall(id: 1, "CarelessHold"))
        eventually("closed") { test.server.connectionCount == 0 }
        eventually("cancelled") { test.log.now.cancelled == 1 }
      }
    }

    @Test func tooManyConnectionsAreClosedAtOnceAndCounted() throws {
      try withServer({ $0.maximumConnections = 2 }) { test throws in
        let first = try test.client()
        let second = try test.client()
        #expect(try first.call("Echo").status == .ok)
        #expect(try second.call("Echo").status == .ok)
        let error = #expect(throws: RPCClientError.self) { try test.client().call("Echo") }
        #expect(error?.code == .connectionLost && error?.address == "\(test.address)")
        #expect(test.group.counter(.connectionsRefused) == 1)
        first.close()
        eventually("room again") { test.server.connectionCount < 2 }
        #expect(try test.client().call("Echo").status == .ok)
      }
    }
  }
}
