// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import FramedTransport
import TestSupport
import Testing

extension SocketTests {
  /// Tests of streaming calls from the client's side.
  struct StreamTests {
    @Test(arguments: [1, 2, 200])
    func aStreamIsRepliesWithMoreAndThenAnEnd(count: UInt8) throws {
      try withServer { test throws in
        let client = try test.client()
        let id = try client.openCall("Count", [count, 5])
        for index in 0..<count {
          let reply = try client.nextReply(id, deadline: soon())
          #expect(reply.more && reply.status == .ok && reply.payload == [index, 7, 7, 7, 7, 7])
        }
        let end = try client.nextReply(id, deadline: soon())
        #expect(!end.more && end.status == .ok && end.payload.isEmpty)
        // The id may be reused.
        try client.send(FramedClient.encodeCall(id: id, "Echo", [1]))
        #expect(try client.nextReply(id, deadline: soon()).payload == [1])
        #expect(test.log.now.cancelled == 0)
      }
    }

    @Test func aRefusedStreamIsOneReply() throws {
      try withServer { test throws in
        let reply = try test.client().call("Refuse")
        #expect(reply.status == RPCStatus(clientSide: .permissionDenied, "not you") && !reply.more)
      }
    }

    @Test func aStreamThatEndsItselfAndThenThrowsHasEndedOnce() throws {
      try withServer { test throws in
        let client = try test.client()
        #expect(try client.call("FinishThenThrow").status == RPCStatus(clientSide: .aborted, "first"))
        try client.ping(1, deadline: soon())
        #expect(try client.call("Echo", [1]).status == .ok)
        #expect(test.endpoint.counter(.streamsEnded) == 1)
      }
    }

    @Test func aCancelledStreamGetsNoFurtherReply() throws {
      try withServer { test throws in
        let client = try test.client()
        let id = try client.openCall("Hold")
        try client.cancel(id)
        try client.ping(1, deadline: soon())
        #expect(test.log.now.cancelled == 1)
        // A reply would arrive before that of the next call with the same id.
        try client.send(FramedClient.encodeCall(id: id, "Echo", [1]))
        #expect(try client.nextReply(id, deadline: soon()).payload == [1])
      }
    }

    @Test func aCancelForNothingIsIgnored() throws {
      try withServer { test throws in
        let client = try test.client()
        try client.cancel(99)
        try client.cancel(0)
        #expect(try client.call("Echo", [1]).status == .ok)
      }
    }

    @Test func aStreamEndsAtItsDeadline() throws {
      try withServer { test throws in
        let client = try test.client()
        let start = MonotonicTime.now
        let reply = try client.call("Hold", timeout: .milliseconds(50))
        #expect(reply.status.reason == .deadlineExceeded && !reply.more)
        #expect(MonotonicTime.now.milliseconds(since: start) >= 45)
        #expect(test.log.now.cancelled == 1)
      }
    }

    @Test func aClientThatVanishesCancelsItsStreams() throws {
      try withServer { test throws in
        let client = try test.client()
        for _ in 0..<3 { _ = try client.openCall("Hold") }
        try client.ping(1, deadline: soon())
        client.close()
        eventually("cancelled") { test.log.now.cancelled == 3 }
        eventually("closed") { test.server.connectionCount == 0 }
      }
    }

    @Test func aFrameCutShortByADisconnectCancelsTheStream() throws {
      try withServer { test throws in
        let socket = try test.raw()
        socket.sendAll(FramedClient.encodeCall(id: 1, "Hold") + [0, 0, 0, 100, 1, 2, 3])
        eventually("opened") { test.log.now.opened == 1 }
        socket.close()
        eventually("cancelled") { test.log.now.cancelled == 1 }
      }
    }

    @Test func anAnswerReachesAClientThatHasEndedItsSide() throws {
      try withServer { test throws in
        let socket = try test.raw()
        socket.sendAll(FramedClient.encodeCall(id: 1, "Echo", [1, 2]))
        socket.finishSending()
        #expect(socket.readToEnd() == [0, 0, 0, 8, 0x08, 1, 0x1a, 4, 0x22, 2, 1, 2])
      }
    }
  }
}
