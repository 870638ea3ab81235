// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Testing

@testable internal import MongoModel

/// The encoding of resume tokens, against tokens of real servers.
struct ResumeTokenTests {
  @Test func aRealHighWaterMark() throws {
    let text = "8269B03187000000022B0429296E1404"
    let token = try #require(ResumeTokenData(data: text))
    #expect(token == ResumeTokenData(highWaterMark: Revision(seconds: 1_773_154_695, increment: 2), version: 2))
    #expect(token.data == text)
  }

  /// Tokens that public documentation and bug reports of other projects print, of versions 1 and 2, with strings and
  /// ObjectIds.
  @Test(arguments: [
    (
      "82612E8513000000012B022C0100296E5A1004A5093ABB38FE4B9EA67F01BB1A96D812463C5F6964003C5F5F5F78000004", 1, "",
      #"{"_id": "___x"}"#
    ),
    (
      "825DC9F595000000012B022C0100296E5A10043306C94DE71F44B684510C3E35B9F1F646645F696400645DC896DF"
        + "0319D57180B38E570004",
      1, "", #"{"_id": {"$oid": "5dc896df0319d57180b38e57"}}"#
    ),
    (
      "8265580539000000012B042C0100296E5A1004A7F55A5B35BD4C7DB2CD56C6CFEA9C49463C6F7065726174696F6E54797065003C757064"
        + "6174650046646F63756D656E744B657900463C5F6964003C6265657200000004",
      2, "update", #"{"_id": "beer"}"#
    ),
    (
      "8266B39AA3000000022B042C0100296E5A1004CDFFC2D506504F98B11EDBF328641438463C6F7065726174696F6E54797065003C696E73"
        + "6572740046646F63756D656E744B65790046645F6964006466B39AA3828376D9C0E6A777000004",
      2, "insert", #"{"_id": {"$oid": "66b39aa3828376d9c0e6a777"}}"#
    ),
  ])
  func realEvents(_ text: String, version: Int, type: String, key: String) throws {
    let token = try #require(ResumeTokenData(data: text))
    #expect(token.version == version)
    #expect(token.kind == .event)
    #expect(!token.isInvalidate)
    let uuid = Array(token.rest[3..<19])
    let made = ResumeTokenData(
      event: token.time, version: version, operationIndex: 0, isInvalidate: false, uuid: uuid, operationType: type,
      identifier: try BSONDocument(json: key), isCommand: false)
    #expect(made.data == text)
  }

  @Test(arguments: [0, 1, 63, 64, 127, 128, 500, 40_000])
  func indicesAreInOrder(_ index: Int) throws {
    func token(_ index: Int) throws -> ResumeTokenData {
      ResumeTokenData(
        event: Revision(seconds: 5, increment: 1), version: 2, operationIndex: index, isInvalidate: false,
        uuid: [UInt8](repeating: 7, count: 16), operationType: "insert", identifier: try BSONDocument(json: "{}"),
        isCommand: false)
    }
    #expect(ResumeTokenData(data: try token(index).data)?.operationIndex == index)
    #expect(try token(index).data < token(index + 1).data)
  }

  @Test(arguments: [
    "", "82", "8269B03187000000022B0429296E14", "8269B03187000000022B0629296E1404", "0169B0318700000002",
  ])
  func malformedTokens(_ text: String) {
    #expect(ResumeTokenData(data: text) == nil)
  }
}
