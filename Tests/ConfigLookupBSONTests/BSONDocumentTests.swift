// SPDX-License-Identifier: Apache-2.0
import ConfigLookupBSON
import Testing

@Suite struct BSONDocumentTests {
  @Test func `bytes that are no document are refused`() {
    #expect(BSONDocument(bytes: [5, 0, 0, 0, 0]) != nil)
    #expect(BSONDocument(bytes: []) == nil)
    #expect(BSONDocument(bytes: [4, 0, 0, 0]) == nil)
    #expect(BSONDocument(bytes: [6, 0, 0, 0, 0]) == nil)
    #expect(BSONDocument(bytes: [5, 0, 0, 0, 1]) == nil)
  }

  @Test func `JSON that does not parse says why`() throws {
    #expect(throws: BSONError.self) { try BSONDocument(json: "{\"a\": ") }
    #expect(try BSONDocument(json: "{\"a\": [1, 2.5, \"x\"]}").json == "{ \"a\" : [ 1, 2.5, \"x\" ] }")
  }

  @Test(arguments: [
    ("{\"_id\": \"agent:1.0.0\"}", "agent:1.0.0"),
    ("{\"_id\": {\"$oid\": \"65a1b2c3d4e5f60718293a0f\"}}", "65a1b2c3d4e5f60718293a0f"),
    ("{\"_id\": 42}", "42"),
    ("{\"_id\": {\"$numberLong\": \"-7\"}}", "-7"),
    ("{\"_id\": {\"$numberDouble\": \"2.5\"}}", "2.5"),
    ("{\"_id\": true}", "true"),
    ("{\"_id\": null}", "null"),
    ("{\"_id\": {\"a\": 1}}", "{ \"a\" : 1 }"),
    ("{\"_id\": {\"$numberDouble\": \"7.0\"}}", "7"),
    ("{\"_id\": {\"$numberDecimal\": \"0.10\"}}", "{ \"$numberDecimal\" : \"0.1\" }"),
    ("{\"_id\": {\"a\": \"{:}\"}, \"b\": 2}", "{ \"a\" : \"{:}\" }"),
  ])
  func `an id of any type has a text`(_ json: String, _ text: String) throws {
    #expect(try BSONDocument(json: json).id?.text == text)
  }

  @Test func `a document without an id has none`() throws {
    #expect(try BSONDocument(json: "{\"a\": 1}").id == nil)
    #expect(try BSONDocument(json: "{\"x\": 0, \"_id\": \"1\"}").id == DocumentID("1"))
  }
}
