// SPDX-License-Identifier: Apache-2.0
import ConfigLookupBSON
import Testing

/// The text of the problem, or the value if there was no problem.
private func outcome<Value>(_ json: String, _ read: (BSONObject) throws(DocumentProblem) -> Value) throws -> String {
  try outcome(BSONDocument(json: json), read)
}

private func outcome<Value>(_ document: BSONDocument, _ read: (BSONObject) throws(DocumentProblem) -> Value) -> String {
  document.withObject { object in
    do throws(DocumentProblem) {
      return "\(try read(object))"
    } catch {
      return error.description
    }
  }
}

/// A document whose field `a` is a string of the given bytes.
private func document(ofBytes text: [UInt8], nested: Bool = false) -> BSONDocument {
  func wrap(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
    let count = UInt32(4 + 3 + value.count + 1)
    return (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * UInt32($0))) } + [type, 0x61, 0] + value + [0]
  }
  let count = UInt32(text.count + 1)
  let string = (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * UInt32($0))) } + text + [0]
  let inner = wrap(0x02, string)
  return BSONDocument(uncheckedBytes: nested ? wrap(0x03, inner) : inner)
}

@Suite struct BSONObjectTests {
  @Test func `a string is read, and what is none is named`() throws {
    #expect(try outcome("{\"a\": \"x\"}") { o throws(DocumentProblem) in try o.string("a") } == "x")
    #expect(
      try outcome("{\"a\": 1}") { o throws(DocumentProblem) in try o.string("a") } == "a: is an int32, not a string")
    #expect(try outcome("{}") { o throws(DocumentProblem) in try o.string("a") } == "a: is missing")
    #expect(try outcome("{\"a\": null}") { o throws(DocumentProblem) in try o.string("a") } == "a: is missing")
    #expect(try outcome("{\"a\": \"\"}") { o throws(DocumentProblem) in try o.nonEmptyString("a") } == "a: is empty")
    #expect(try outcome("{\"a\": null}") { o throws(DocumentProblem) in try o.optionalString("a") } == "nil")
  }

  @Test func `a string keeps its NUL, and must be UTF-8`() {
    let read = { (o: BSONObject) throws(DocumentProblem) -> String in try o.string("a") }
    #expect(outcome(document(ofBytes: [0x78, 0, 0x79]), read) == "x\0y")
    for bad: [UInt8] in [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x9F, 0x98]] {
      #expect(outcome(document(ofBytes: bad), read) == "a: is not valid UTF-8")
    }
  }

  @Test func `free-form text must be UTF-8 too, and keeps its NUL as an escape`() {
    let read = { (o: BSONObject) throws(DocumentProblem) -> String in try o.json("a") }
    #expect(outcome(document(ofBytes: [0x78, 0, 0x79], nested: true), read) == "{ \"a\" : \"x\\u0000y\" }")
    for bad: [UInt8] in [[0xFF], [0xC3], [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xF0, 0x9F, 0x98]] {
      #expect(
        outcome(document(ofBytes: bad, nested: true), read)
          == "a: is malformed, or contains text that is not valid UTF-8")
    }
  }

  /// Regression test: libbson's JSON omitted the value where a nested object lacked its last byte: `{ "b" : , "d" : 1
  /// }` was served.
  @Test func `free-form parts are read whole or not at all`() throws {
    let read = { (o: BSONObject) throws(DocumentProblem) -> String in try o.json("a") }
    let good = try BSONDocument(json: #"{"a": {"b": {"c": 1}, "d": {"$code": "x", "$scope": {"e": 2}}}}"#)
    #expect(outcome(good, read).hasSuffix("}"))
    #expect(good.json != nil)
    // No zero byte at the end of an object, and of a scope; a name that is not UTF-8; a length too long, and one too
    // short; an undefined type; an end before the end; code longer than its bytes.
    for (part, damage): ([UInt8], [UInt8]) in [
      ([1, 0, 0, 0, 0], [1, 0, 0, 0, 1]), ([2, 0, 0, 0, 0], [2, 0, 0, 0, 1]),
      ([0x63, 0, 1, 0, 0, 0], [0xFF, 0, 1, 0, 0, 0]), ([12, 0, 0, 0, 0x10], [13, 0, 0, 0, 0x10]),
      ([12, 0, 0, 0, 0x10], [4, 0, 0, 0, 0x10]), ([0x10, 0x63, 0], [0x55, 0x63, 0]), ([0x10, 0x63, 0], [0, 0x63, 0]),
      ([0x65, 0, 2, 0, 0, 0], [0xFF, 0, 2, 0, 0, 0]), ([2, 0, 0, 0, 0x78, 0], [3, 0, 0, 0, 0x78, 0]),
    ] {
      var bytes = good.bytes
      let place = try #require(bytes.firstRange(of: part))
      bytes.replaceSubrange(place, with: damage)
      let bad = BSONDocument(uncheckedBytes: bytes)
      #expect(outcome(bad, read) == "a: is malformed, or contains text that is not valid UTF-8", "\(damage)")
      #expect(bad.json == nil, "\(damage)")
    }
    // An object that consists only of its length.
    let short = [20, 0, 0, 0, 3, 0x61, 0] + [12, 0, 0, 0, 3, 0x62, 0] + [4, 0, 0, 0] + [0, 0] as [UInt8]
    #expect(BSONDocument(uncheckedBytes: short).json == nil)
  }

  @Test(arguments: [
    ("{\"a\": 5}", "5"), ("{\"a\": {\"$numberLong\": \"5\"}}", "5"), ("{\"a\": {\"$numberDouble\": \"5.0\"}}", "5"),
    ("{\"a\": {\"$numberDouble\": \"5.5\"}}", "a: 5.5 is not a whole number"), ("{\"a\": 0}", "a: 0 is below 1"),
    ("{\"a\": {\"$numberDouble\": \"NaN\"}}", "a: nan is not a whole number"),
    ("{\"a\": {\"$numberDouble\": \"1e300\"}}", "a: 1e+300 is not a whole number"),
    ("{\"a\": 11}", "a: 11 is above 10"), ("{\"a\": \"5\"}", "a: is a string, not a number"), ("{}", "a: is missing"),
    ("{\"a\": {\"$date\": {\"$numberLong\": \"5\"}}}", "a: is a date, not a number"),
    ("{\"a\": true}", "a: is a bool, not a number"),
  ])
  func `a whole number comes in three types`(_ json: String, _ expected: String) throws {
    #expect(try outcome(json) { o throws(DocumentProblem) in try o.integer("a", in: 1...10) } == expected)
  }

  @Test(arguments: [
    ("{\"a\": 1}", "1.0"), ("{\"a\": {\"$numberLong\": \"1\"}}", "1.0"), ("{\"a\": 0.25}", "0.25"),
    ("{\"a\": 3.5}", "a: 3.5 is above 2.0"),
    ("{\"a\": -0.1}", "a: -0.1 is below 0.0"), ("{\"a\": {\"$numberDouble\": \"NaN\"}}", "a: is not a number"),
    ("{\"a\": {\"$numberDouble\": \"Infinity\"}}", "a: inf is above 2.0"),
    ("{\"a\": \"1\"}", "a: is a string, not a number"),
  ])
  func `a double comes in three types`(_ json: String, _ expected: String) throws {
    #expect(try outcome(json) { o throws(DocumentProblem) in try o.double("a", in: 0...2) } == expected)
  }

  @Test(arguments: [
    ("{\"a\": {\"$date\": \"2026-01-09T00:00:00Z\"}}", "1767916800000"),
    ("{\"a\": \"2026-01-09T00:00:00Z\"}", "1767916800000"),
    ("{\"a\": {\"$date\": {\"$numberLong\": \"-1\"}}}", "-1"), ("{\"a\": \"today\"}", "a: is not an ISO 8601 date"),
    ("{\"a\": 1767916800}", "a: is an int32, not a date"),
    ("{\"a\": {\"$numberLong\": \"1\"}}", "a: is an int64, not a date"), ("{}", "a: is missing"),
  ])
  func `a date is a BSON date or a string`(_ json: String, _ expected: String) throws {
    #expect(try outcome(json) { o throws(DocumentProblem) in try o.date("a") } == expected)
  }

  @Test func `problems name the whole path`() throws {
    let json = "{\"a\": {\"b\": [{\"c\": \"x\"}, {\"c\": 1}]}, \"d\": [\"x\", 2], \"m\": {\"k\": \"v\", \"l\": 3}}"
    #expect(
      try outcome(json) { o throws(DocumentProblem) in
        try o.object("a").optionalObjects("b") { o throws(DocumentProblem) in try o.string("c") }
      } == "a.b.1.c: is an int32, not a string")
    #expect(try outcome(json) { o throws(DocumentProblem) in try o.strings("d") } == "d.1: is an int32, not a string")
    #expect(
      try outcome(json) { o throws(DocumentProblem) in try o.optionalStringMap("m") }
        == "m.l: is an int32, not a string")
    #expect(try outcome(json) { o throws(DocumentProblem) in try o.object("d") } == "d: is an array, not an object")
    #expect(try outcome(json) { o throws(DocumentProblem) in try o.strings("a") } == "a: is an object, not an array")
    #expect(
      try outcome(json) { o throws(DocumentProblem) in try o.objectOrEmpty("none").string("x") } == "none.x: is missing"
    )
    #expect(
      try outcome(json) { o throws(DocumentProblem) in try o.choice("d", of: ["x"]) } == "d: is an array, not a string")
    #expect(
      try outcome("{\"a\": \"z\"}") { o throws(DocumentProblem) in try o.choice("a", of: ["x", "y"]) }
        == "a: must be one of x, y")
  }

  @Test func `a map is in order of the bytes of its keys`() throws {
    let read = { (o: BSONObject) throws(DocumentProblem) -> String in
      (try o.optionalStringMap("m") ?? []).map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }
    #expect(try outcome("{\"m\": {\"b\": \"1\", \"é\": \"2\", \"a\": \"3\", \"Z\": \"4\"}}", read) == "Z=4 a=3 b=1 é=2")
  }

  @Test func `free-form is an object or an array, and no deeper than the limit`() throws {
    // The documents are built as bytes, because libbson's JSON parser stops at depth 100.
    func nested(_ depth: Int) -> BSONDocument {
      var bytes: [UInt8] = [5, 0, 0, 0, 0]
      for level in 0..<depth {
        let count = UInt32(bytes.count + 8)
        let name: UInt8 = level == depth - 1 ? 0x61 : 0x30
        bytes = (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * UInt32($0))) } + [4, name, 0] + bytes + [0]
      }
      return BSONDocument(uncheckedBytes: bytes)
    }
    let read = { (o: BSONObject) throws(DocumentProblem) -> Int in
      try o.json("a").utf8.count { $0 == UInt8(ascii: "[") }
    }
    #expect(outcome(nested(99), read) == "99")
    #expect(outcome(nested(BSONObject.maximumDepth), read) == "200")
    #expect(outcome(nested(BSONObject.maximumDepth + 1), read) == "a: is nested deeper than 200 levels")
    #expect(outcome(nested(20_000), read) == "a: is nested deeper than 200 levels")
    #expect(
      try outcome("{\"a\": \"text\"}") { o throws(DocumentProblem) in try o.json("a") }
        == "a: is a string, not an object or an array")
    #expect(
      try outcome("{\"a\": {}}") { o throws(DocumentProblem) in try o.json("a", .array) }
        == "a: is an object, not an array")
    #expect(
      try outcome("{\"a\": []}") { o throws(DocumentProblem) in try o.json("a", .object) }
        == "a: is an array, not an object")
    #expect(try outcome("{\"a\": [1, \"]\"]}") { o throws(DocumentProblem) in try o.json("a") } == "[ 1, \"]\" ]")
  }

  @Test func `a document that is cut off ends where it is whole`() {
    // The length of the string exceeds the document.
    let cut = BSONDocument(uncheckedBytes: [14, 0, 0, 0, 2, 0x61, 0, 100, 0, 0, 0, 0x78, 0, 0])
    #expect(outcome(cut) { o throws(DocumentProblem) in try o.string("a") } == "a: is missing")
  }
}
