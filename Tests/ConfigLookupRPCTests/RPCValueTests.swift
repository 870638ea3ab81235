// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import Testing

struct RPCValueTests {
  @Test func statusCodesHaveGRPCsNumbersAndNames() {
    #expect(RPCStatus.Code.allCases.map(\.rawValue) == Array(0...16))
    #expect(RPCStatus.Code.internalError.name == "INTERNAL")
    #expect(RPCStatus.Code(rawValue: 17) == nil)
    #expect("\(RPCStatus(.keyNotFound, "no key \"a\""))" == "NOT_FOUND: no key \"a\"")
    #expect("\(RPCStatus.ok)" == "OK")
  }

  @Test func metadataGivesTheFirstValueOfAKey() {
    var metadata = RPCMetadata()
    metadata.append("a", "1")
    metadata.append("b", "2")
    metadata.append("a", "3")
    #expect(metadata["a"] == "1")
    #expect(metadata["c"] == nil)
    #expect(metadata.pairs.count == 3)
    metadata.removeAll()
    #expect(metadata.isEmpty)
  }

  @Test func anEmptiedReplyKeepsItsStorage() {
    var reply = RPCReply()
    reply.head = [UInt8](repeating: 1, count: 100)
    reply.body = [2, 3]
    reply.metadata.append("a", "1")
    #expect(reply.count == 102)
    reply.reset()
    #expect(reply.count == 0)
    #expect(reply.metadata.isEmpty)
    #expect(reply.head.capacity >= 100)
  }
}
