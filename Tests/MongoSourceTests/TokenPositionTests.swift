// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Testing

@testable internal import MongoSource

/// Tests of what is read from resume tokens, and of what they prove.
struct TokenPositionTests {
  /// A token with the given text.
  private static func token(_ data: String) throws -> ResumeToken {
    ResumeToken(try BSONDocument(json: "{\"_data\": \"\(data)\"}"))
  }

  private static func mark(_ seconds: UInt32, _ increment: UInt32 = 1) throws -> ResumeToken {
    try token(hex(seconds, increment) + "2B0429296E1404")
  }

  private static func event(_ seconds: UInt32, _ increment: UInt32 = 1) throws -> ResumeToken {
    try token(hex(seconds, increment) + "2B042C0100296E5A1004")
  }

  private static func hex(_ seconds: UInt32, _ increment: UInt32) -> String {
    let digits = [seconds, increment].map { number in
      let text = String(number, radix: 16, uppercase: true)
      return String(repeating: "0", count: 8 - text.count) + text
    }
    return "82" + digits.joined()
  }

  /// Two tokens of real servers: the high-water mark is in the README of the server's change streams.
  @Test func tokensOfRealServers() throws {
    let mark = try #require(TokenPosition(Self.token("8269B03187000000022B0429296E1404")))
    #expect(mark.kind == .highWaterMark)
    #expect(mark.time == Revision(seconds: 1_773_154_695, increment: 2))
    let event = try #require(TokenPosition(Self.token("826AA99D52000000982B042C0100296E5A1004")))
    #expect(event.kind == .event)
    #expect(event.time == Revision(seconds: 0x6AA9_9D52, increment: 0x98))
  }

  @Test(arguments: [
    // DocumentDB, a mark of an unknown version, a text that is too short, no hexadecimal digits, no text.
    #"{"_data": "0165A1B2C30000000100000000"}"#, #"{"_data": "8269B03187000000022B0629296E1404"}"#,
    #"{"_data": "8269B0318700"}"#, #"{"_data": "82ZZB03187000000022B0429296E1404"}"#, #"{"_data": 1}"#,
    #"{"place": 3}"#,
  ])
  func otherTokensAreNotRead(_ json: String) throws {
    #expect(TokenPosition(ResumeToken(try BSONDocument(json: json))) == nil)
  }

  @Test func lowerCaseAndVersionZeroAreRead() throws {
    #expect(try TokenPosition(Self.token("8269b03187000000022b0229296e1404"))?.kind == .highWaterMark)
    #expect(try TokenPosition(Self.token("8269B0318700000002465A1004"))?.kind == .event)
  }

  /// The table of what a token proves about the stream of a member of a replica set.
  @Test func proofsOfAReplicaSetMember() throws {
    func through(_ seconds: UInt32) -> ReceivedWatermark { .init(through: Revision(seconds: seconds, increment: 1)) }
    func before(_ seconds: UInt32) -> ReceivedWatermark { .init(before: Revision(seconds: seconds, increment: 1)) }
    var proof = try TokenProof(start: Self.mark(10), isRouter: false)
    #expect(proof.received == before(10), "the position of the opening")
    try proof.passed(Self.mark(10), isReplyEmpty: true)
    #expect(proof.received == before(10), "the position of the opening has not been passed")
    try proof.passed(Self.event(12), isReplyEmpty: false)
    #expect(proof.received == before(12), "more of its time may follow an event")
    try proof.passed(Self.event(12), isReplyEmpty: true)
    #expect(proof.received == through(12), "an empty reply leaves nothing of an entry")
    try proof.passed(Self.mark(15), isReplyEmpty: true)
    #expect(proof.received == through(15))
    try proof.passed(Self.mark(14), isReplyEmpty: true)
    #expect(proof.received == through(15), "a proof is never withdrawn")
    var resumed = try TokenProof(start: Self.event(12), isRouter: false)
    try resumed.passed(Self.event(12), isReplyEmpty: true)
    #expect(resumed.received == before(12))
  }

  @Test func aRouterProvesOnlyTheTimesBefore() throws {
    var proof = try TokenProof(start: Self.mark(10), isRouter: true)
    for (token, seconds) in [(try Self.mark(15), UInt32(15)), (try Self.event(16), 16)] {
      proof.passed(token, isReplyEmpty: true)
      #expect(proof.received == .init(before: Revision(seconds: seconds, increment: 1)))
    }
  }

  @Test func anUnreadableTokenProvesNothing() throws {
    var proof = try TokenProof(start: Self.mark(10), isRouter: false)
    proof.passed(try Self.token("0165A1B2C30000000100000000"), isReplyEmpty: true)
    #expect(proof.received == nil)
    try proof.passed(Self.mark(15), isReplyEmpty: true)
    #expect(proof.received != nil)
  }
}
