// SPDX-License-Identifier: Apache-2.0
import ConfigLookupBSON
import Foundation
import TestSupport
import Testing

/// Tests of the JSON text of free-form parts.
@Suite struct ExtendedJSONTests {
  /// The field `v` of a document as free-form text.
  private func json(_ document: BSONDocument) throws -> String {
    try document.withObject { object throws(DocumentProblem) in try object.json("v") }
  }

  @Test(arguments: [
    // Integers beyond the range of JavaScript numbers.
    (#"{"$numberLong": "9007199254740991"}"#, "9007199254740991"),
    (#"{"$numberLong": "-9007199254740991"}"#, "-9007199254740991"),
    (#"{"$numberLong": "9007199254740992"}"#, #"{ "$numberLong" : "9007199254740992" }"#),
    (#"{"$numberLong": "-9223372036854775808"}"#, #"{ "$numberLong" : "-9223372036854775808" }"#),
    (#"{"$numberDouble": "-0.0"}"#, "-0.0"), (#"{"$numberDouble": "1.0"}"#, "1.0"),
    (#"{"$numberDouble": "1e308"}"#, "1.000000000000000011e+308"),
    (#"{"$numberDouble": "NaN"}"#, #"{ "$numberDouble" : "NaN" }"#),
    // JSON decoders do not accept the year 10000 as a date, nor a year before 1970.
    (#"{"$date": {"$numberLong": "253402300799999"}}"#, #"{ "$date" : "9999-12-31T23:59:59.999Z" }"#),
    (#"{"$date": {"$numberLong": "253402300800000"}}"#, #"{ "$date" : { "$numberLong" : "253402300800000" } }"#),
    (#"{"$date": {"$numberLong": "-1"}}"#, #"{ "$date" : { "$numberLong" : "-1" } }"#),
    (#"{"$date": {"$numberLong": "951782400000"}}"#, #"{ "$date" : "2000-02-29T00:00:00Z" }"#),
  ])
  func `a value at an extreme`(_ value: String, _ expected: String) throws {
    #expect(try json(BSONDocument(json: "{\"v\": [\(value)]}")) == "[ \(expected) ]")
  }

  /// Equal texts have equal etags, so every client sees a change of the text.
  @Test func `the text is the same for ever`() throws {
    let document = try BSONDocument(
      json: #"{"v": {"a": {}, "b": [], "c": [1, {"d": null}, true], "e\"": "\n\u0001é"}}"#)
    #expect(
      try json(document)
        == #"{ "a" : {  }, "b" : [  ], "c" : [ 1, { "d" : null }, true ], "e\"" : "\n\u0001é" }"#)
    #expect(try json(BSONDocument(json: #"{"v": {}}"#)) == "{ }")
    #expect(try json(BSONDocument(json: #"{"v": []}"#)) == "[  ]")
  }

  @Test func `what takes more room than any path has is refused`() throws {
    func document(_ count: Int) throws -> BSONDocument {
      let text = String(repeating: "\"", count: count)
      return try BSONDocument(json: "{\"v\": {\"a\": \"\(text.replacing("\"", with: "\\\""))\"}}")
    }
    // `{ "a" : "` and `" }`, and two bytes for each quote.
    let most = (16 * 1024 * 1024 - 12) / 2
    #expect(try json(document(most)).utf8.count == 16 * 1024 * 1024)
    #expect(throws: DocumentProblem(field: "v", problem: "is larger than 16777216 bytes as JSON")) {
      try json(document(most + 1))
    }
  }

  /// Values of every type at its limits, and random documents, are decoded by MongoDB's Python driver and by node.
  @Test func `others read back the same values`() throws {
    let random = SeededRandom.fresh("others read back the same values")
    let python = try PythonEnvironment.command("python")
    let script = packageRoot.appendingPathComponent("Tests/Interop/extended_json.py").path
    let documents = try ChildProcess.run(python, ["-B", script, "make", "\(random.seed)"])
    #expect(documents.count > 1000)
    let lines = try documents.map { line in
      let digits = line.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
      let bytes = stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
      return "\(line)\t\(try json(#require(BSONDocument(bytes: bytes))))\n"
    }
    try temporaryFolder { folder in
      let file = folder.appendingPathComponent("texts")
      try Data(lines.joined().utf8).write(to: file)
      let output = try ChildProcess.run(python, ["-B", script, "check", file.path])
      #expect(output.last == "passed \(documents.count)")
    }
  }
}
