// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupRPC
import FramedTransport
import TestSupport
import Testing

extension SocketTests {
  /// Tests of unary calls that wait, from the client's side.
  struct WaitingCallTests {
    @Test(arguments: [1, 2, 5]) func isAskedAgainUntilItAnswers(asks: UInt8) throws {
      try withServer { test throws in
        let client = try test.client()
        let id = try client.openCall("Wait", [asks])
        // Other calls are answered in the meantime.
        #expect(try client.call("Echo", [1]).payload == [1])
        let reply = try client.nextReply(id, deadline: soon())
        #expect(reply.status == .ok && !reply.more && reply.payload == [asks])
        #expect(reply.metadata["asks"] == "\(Int(asks) + 1)")
        #expect(test.log.now.waits == Int(asks))
        #expect(test.endpoint.counter(.streamsEnded) == 1)
      }
    }

    @Test func mayFailWhenItIsAskedAgain() throws {
      try withServer { test throws in
        #expect(try test.client().call("Wait", [9, 1]).status == RPCStatus(clientSide: .aborted, "enough"))
      }
    }

    @Test func waitsNoLongerThanItSays() throws {
      try withServer { test throws in
        let reply = try test.client().call("Wait", [255])
        #expect(reply.status == RPCStatus(clientSide: .unavailable, "in vain"))
        // The handler is called once more at the end, and its metadata are sent with the reply.
        #expect(reply.metadata["asks"] == "2")
      }
    }

    @Test func theCallersDeadlineComesFirst() throws {
      try withServer { test throws in
        #expect(try test.client().call("Wait", [255], timeout: .milliseconds(5)).status.code == .deadlineExceeded)
      }
    }

    @Test func aCancelledCallIsNotAskedAgain() throws {
      try withServer { test throws in
        let client = try test.client()
        let id = try client.openCall("Wait", [255])
        try client.cancel(id)
        try client.ping(1, deadline: soon())
        #expect(test.endpoint.counter(.streamsEnded) == 1)
        #expect(test.log.now.asks == 1)
      }
    }

    @Test func aClientThatVanishesLeavesNothing() throws {
      try withServer { test throws in
        let client = try test.client()
        _ = try client.openCall("Wait", [255])
        try poll("the call waits") { test.log.now.waits == 1 }
        client.close()
        try poll("the call has ended") { test.endpoint.counter(.streamsEnded) == 1 }
      }
    }
  }
}
