// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import FramedTransport
import TestSupport
import Testing

extension SocketTests {
  /// Tests of many fast-path calls at once, mixed with other calls.
  struct PlainBatchTests {
    private enum Call {
      case plain(UInt8)
      case echo([UInt8])
      case fail

      func encoded(_ id: UInt32) -> [UInt8] {
        switch self {
        case .plain(let count): FramedClient.encodeCall(id: id, "Ramp", [count])
        case .echo(let bytes): FramedClient.encodeCall(id: id, "Echo", bytes)
        case .fail: FramedClient.encodeCall(id: id, "Fail")
        }
      }

      func isAnswered(by reply: RPCClientReply) -> Bool {
        switch self {
        case .plain(let count): reply.status.code == .ok && reply.payload == Array(ramp[..<(Int(count) * 100)])
        case .echo(let bytes): reply.status.code == .ok && reply.payload == bytes
        case .fail: reply.status.code == .notFound
        }
      }
    }

    private func calls(_ count: Int, _ random: inout SplitMix) -> [Call] {
      (0..<count).map { _ in
        switch UInt8.random(in: 0...19, using: &random) {
        case 0: .fail
        case 1: .echo([UInt8](repeating: 4, count: Int.random(in: 0...300, using: &random)))
        case 2...4: .plain(255)
        default: .plain(UInt8.random(in: 0...30, using: &random))
        }
      }
    }

    /// Sends all calls, and reads nothing until the server has more to send than the socket accepts.
    private func check(_ client: FramedClient, _ test: TestServer) throws {
      var random = SplitMix(seed: .random(in: 0 ... .max))
      let seed = random.seed
      let calls = calls(5_000, &random)
      try client.send(calls.enumerated().flatMap { $1.encoded(UInt32($0 + 1)) })
      eventually("the server answers") { test.group.counter(.bytesSent) > 100_000 }
      for (index, call) in calls.enumerated() {
        let reply = try client.nextReply(UInt32(index + 1), deadline: soon())
        #expect(call.isAnswered(by: reply), "seed \(seed), call \(index)")
      }
    }

    @Test func everyCallGetsItsAnswerFromAServerThatHasToWait() throws {
      try withServer(loops: 1) { try check($0.client(), $0) }
    }

    @Test func everyCallGetsItsAnswerOverTLS() throws {
      try withTLS { try check($0.client(), $0.test) }
    }

    @Test func theReplyIsTheSameByBothWays() throws {
      try withServer { test throws in
        let client = try test.client()
        for count: UInt8 in [0, 1, 5, 6, 13, 255] {
          let plain = try client.call("Ramp", [count])
          var metadata = RPCMetadata()
          metadata.append("a", "b")
          // A call with metadata does not take the fast path.
          let id = try client.openCall("Ramp", [count], metadata: metadata)
          #expect(try client.nextReply(id, deadline: soon()).payload == plain.payload)
          #expect(plain.payload == Array(ramp[..<(Int(count) * 100)]))
        }
      }
    }
  }
}
