// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import FramedTransport
import TestSupport
import Testing

extension SocketTests {
  /// Tests of calls from the client's side.
  struct CallTests {
    @Test(arguments: [0, 1, 2, 3000, 65_000])
    func aUnaryCallIsAnswered(size: Int) throws {
      try withServer { test throws in
        let request = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        let reply = try test.client().call("Echo", request)
        #expect(reply.status == .ok)
        #expect(!reply.more)
        #expect(reply.payload == request)
      }
    }

    @Test(arguments: ["127.0.0.1", "::1", "localhost"])
    func listensOnNamesAndBothFamilies(host: String) throws {
      try withServer({ $0.listen = HostAndPort(host: host, port: 0) }) { test throws in
        #expect(test.address.port != 0)
        #expect(try test.client().call("Echo", [1]).payload == [1])
      }
    }

    @Test func anErrorHasStatusMessageAndMetadataButNoPayload() throws {
      try withServer { test throws in
        let reply = try test.client().call("Fail")
        #expect(reply.status == RPCStatus(clientSide: .notFound, "no key \"ä\""))
        #expect(reply.payload.isEmpty)
        #expect(reply.metadata["why"] == "asked for")
        eventually("counted") { test.callCount("Fail", .notFound) == 1 }
      }
    }

    @Test func anUnknownMethodIsNamed() throws {
      try withServer { test throws in
        let client = try test.client()
        #expect(try client.call("Nope").status == RPCStatus(.unknownMethod, "unknown method \"Nope\""))
        #expect(try client.call("").status == RPCStatus.invalid("method", "is empty"))
        #expect(try client.call("Ec\0ho").status.reason == .invalidField)
        let long = try client.call(String(repeating: "x", count: 5000)).status
        #expect(long.reason == .unknownMethod && long.message.utf8.count < 100)
        #expect(try client.call("Chat").status.reason == .unsupportedCallType)
        // The connection remains usable.
        #expect(try client.call("Echo", [1]).status == .ok)
      }
    }

    @Test func aMethodThatIsNotUTF8IsThatCallsErrorOnly() throws {
      try withServer { test throws in
        let client = try test.client()
        try client.send([0, 0, 0, 9, 0x08, 77, 0x12, 5, 0x0a, 3, 0xff, 0xfe, 0x41])
        #expect(try client.nextReply(77, deadline: soon()).status.code == .invalidArgument)
        #expect(try client.call("Echo", [1]).status == .ok)
      }
    }

    @Test func aThousandPipelinedCallsAreAnsweredEachOnce() throws {
      try withServer { test throws in
        let client = try test.client()
        try client.send((1...1000).flatMap { FramedClient.encodeCall(id: $0, "Echo", [UInt8(truncatingIfNeeded: $0)]) })
        for id in UInt32(1)...1000 {
          #expect(try client.nextReply(id, deadline: soon()).payload == [UInt8(truncatingIfNeeded: id)])
        }
        eventually("counted") { test.callCount("Echo", .ok) == 1000 }
      }
    }

    @Test func theDeadlineOfAUnaryCallReachesItsHandler() throws {
      try withServer { test throws in
        let client = try test.client()
        #expect(try client.call("Deadline").payload == Array("-1".utf8))
        #expect(try client.call("Deadline", timeout: .milliseconds(50_000)).payload == Array("50".utf8))
      }
    }

    @Test func metadataTravelsBothWays() throws {
      try withServer { test throws in
        var metadata = RPCMetadata()
        metadata.append("Trace-ID", "ä b")
        metadata.append("trace-id", "second")
        let reply = try test.client().call("Metadata", metadata: metadata)
        #expect(reply.payload == Array("trace-id=ä b;trace-id=second".utf8))
        #expect(reply.metadata.pairs.map(\.value) == ["ä b", "second"])
      }
    }

    @Test func helloIsBeneathTheMetadataOfLaterCalls() throws {
      try withServer { test throws in
        let client = try test.client()
        var hello = RPCMetadata()
        hello.append("authorization", "Bearer one")
        hello.append("a", "1")
        let reply = try client.call("Hello", metadata: hello)
        #expect(reply.status == .ok && reply.payload.isEmpty)
        #expect(try client.call("Metadata").payload == Array("authorization=Bearer one;a=1".utf8))
        var own = RPCMetadata()
        own.append("a", "2")
        #expect(try client.call("Metadata", metadata: own).payload == Array("a=2;authorization=Bearer one".utf8))
        // The metadata do not apply to another connection.
        #expect(try test.client().call("Metadata").payload.isEmpty)
      }
    }

    @Test func metadataOutOfBoundsIsRefused() throws {
      try withServer { test throws in
        let client = try test.client()
        func status(_ count: Int, _ key: String, _ value: String) throws -> ErrorReason? {
          var metadata = RPCMetadata()
          for _ in 0..<count { metadata.append(key, value) }
          return try client.call("Metadata", metadata: metadata).status.reason
        }
        #expect(try status(64, "k", "v") == nil)
        #expect(try status(65, "k", "v") == .metadataTooLarge)
        #expect(try status(1, "k", String(repeating: "v", count: 9000)) == .metadataTooLarge)
        #expect(try status(1, "", "v") == .invalidMetadata)
        #expect(try status(1, "k k", "v") == .invalidMetadata)
        #expect(try status(1, "k", "v\0") == .invalidMetadata)
      }
    }

    @Test func aPingIsAnsweredWithItsNonce() throws {
      try withServer { test throws in
        let client = try test.client()
        for nonce in [0, 1, 300, UInt64.max] { try client.ping(nonce, deadline: soon()) }
      }
    }
  }
}
