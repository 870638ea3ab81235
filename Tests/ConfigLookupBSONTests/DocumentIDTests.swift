// SPDX-License-Identifier: Apache-2.0
import ConfigLookupBSON
import Testing

/// Tests that two ids are equal exactly if MongoDB treats them as equal.
///
/// https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
@Suite struct DocumentIDTests {
  private func id(_ json: String) throws -> DocumentID {
    try #require(BSONDocument(json: "{\"_id\": \(json)}").id)
  }

  /// Each line contains equal forms of one value. Values of different lines are not equal.
  private static let values: [[String]] = [
    ["777777", long("777777"), double("777777.0"), decimal("777777"), decimal("777777.00"), decimal("7.77777E+5")],
    ["0", long("0"), double("0.0"), double("-0.0"), decimal("0"), decimal("-0"), decimal("0E+6111"), decimal("-0.00")],
    ["1", long("1"), double("1.0"), decimal("1"), decimal("1.00"), decimal("1.000000000000000000000000000000000")],
    ["-1", decimal("-1.0")], [double("2.5"), decimal("2.5"), decimal("2.50"), decimal("25E-1")],
    [double("0.1"), decimal("0.1000000000000000055511151231257827")], [decimal("0.1"), decimal("0.10")],
    [double("NaN"), decimal("NaN")],
    [double("Infinity"), decimal("Infinity")], [double("-Infinity"), decimal("-Infinity")],
    [long("9223372036854775807"), decimal("9223372036854775807")],
    // No double distinguishes these two: the nearest one is 2 to the power of 63.
    [double("9223372036854775808"), decimal("9223372036854775808")],
    [long("-9223372036854775808"), double("-9223372036854775808"), decimal("-9223372036854775808.0")],
    [long("9007199254740993"), decimal("9007199254740993")],
    [long("9007199254740992"), double("9007199254740992")],
    [double("1e300"), decimal("1.000000000000000052504760255204420E+300")], [decimal("1E+300"), decimal("10E+299")],
    [decimal("1E+6144"), decimal("1.000000000000000000000000000000000E+6144")], [decimal("1E-6176")],
    [double("5e-324"), decimal("4.940656458412465441765687928682214E-324")],
    [#""a""#, #"{"$symbol": "a"}"#], [#""A""#], [#""é""#], [#""e\u0301""#], [#""777777""#], [#""""#], ["null"],
    ["true"], ["false"], [#"{"$undefined": true}"#],
    [#"{"$date": {"$numberLong": "1"}}"#], [#"{"$timestamp": {"t": 0, "i": 1}}"#],
    [#"{"$oid": "65a1b2c3d4e5f60718293a0f"}"#], [#""65a1b2c3d4e5f60718293a0f""#],
    [binary("AQI=", "00")], [binary("AQI=", "05")], [binary("AQI=", "02")], [binary("AQ==", "00")],
    [#"{"$code": "a"}"#], [#"{"$code": "a", "$scope": {}}"#],
    [#"{"$code": "a", "$scope": {"x": 1}}"#, #"{"$code": "a", "$scope": {"x": \#(double("1.0"))}}"#],
    [#"{"$minKey": 1}"#], [#"{"$maxKey": 1}"#], [#"{"$regularExpression": {"pattern": "a", "options": ""}}"#],
    ["{}"], ["[]"], [#"{"a": 1, "b": 2}"#, #"{"a": \#(long("1")), "b": \#(decimal("2.0"))}"#], [#"{"b": 2, "a": 1}"#],
    [#"{"a": 1}"#], [#"{"A": 1}"#], [#"{"a": "x"}"#, #"{"a": {"$symbol": "x"}}"#],
    [#"{"a": {"b": [1]}}"#, #"{"a": {"b": [\#(double("1"))]}}"#],
    [#"{"a": {"b": [2]}}"#], ["[1, 2]", "[\(double("1")), \(long("2"))]"], ["[2, 1]"], [#"{"0": 1, "1": 2}"#],
    [#"{"a": null}"#], [#"{"a": {"$undefined": true}}"#],
  ]

  private static func long(_ text: String) -> String { #"{"$numberLong": "\#(text)"}"# }
  private static func double(_ text: String) -> String { #"{"$numberDouble": "\#(text)"}"# }
  private static func decimal(_ text: String) -> String { #"{"$numberDecimal": "\#(text)"}"# }
  private static func binary(_ base64: String, _ type: String) -> String {
    #"{"$binary": {"base64": "\#(base64)", "subType": "\#(type)"}}"#
  }

  @Test func `ids are equal where MongoDB says so, and nowhere else`() throws {
    var seen: [DocumentID: String] = [:]
    for forms in Self.values {
      let first = try id(forms[0])
      #expect(seen.updateValue(forms[0], forKey: first) == nil, "\(forms[0]) is \(seen[first] ?? "")")
      for form in forms.dropFirst() {
        let other = try id(form)
        #expect(other == first && other.hashValue == first.hashValue, "\(form) and \(forms[0])")
        #expect(other.text == first.text, "\(form) and \(forms[0])")
        #expect(!(other < first) && !(first < other))
      }
    }
  }

  @Test func `an id in a document of its own is the same`() throws {
    for form in Self.values.joined() {
      let id = try id(form)
      #expect(id.document.id == id, "\(form)")
    }
  }

  @Test func `any two ids have an order`() throws {
    let ids = try Self.values.map { try id($0[0]) }
    for left in ids {
      for right in ids where left != right { #expect((left < right) != (right < left), "\(left.text) \(right.text)") }
    }
    #expect(try id(#""a""#) < id(#""b""#))
    #expect(try id("10") < id("9"), "the order is that of the texts")
  }

  /// By MongoDB's rules these are NaN and zero.
  @Test func `unusual bits are read as the server reads them`() throws {
    func id(_ type: UInt8, _ bytes: [UInt8]) throws -> DocumentID {
      let all = [0, 0, 0, 0, type] + Array("_id".utf8) + [0] + bytes + [0]
      let count = UInt32(all.count)
      return try #require(
        BSONDocument(uncheckedBytes: (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * UInt32($0))) } + all[4...])
          .id)
    }
    let nan = try self.id(Self.double("NaN"))
    #expect(try id(1, [1, 0, 0, 0, 0, 0, 0xF8, 0xFF]) == nan)
    #expect(
      try id(0x13, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7E]) == nan, "a signalling one with a payload")
    let zero = try self.id("0")
    #expect(try id(0x13, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x6C]) == zero, "more than 34 digits")
  }

  @Test func `an id that nests deeper than any stored is read all the same`() throws {
    var bytes: [UInt8] = [5, 0, 0, 0, 0]
    while bytes.count < 4000 {
      let count = UInt32(bytes.count + 8)
      bytes = (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * UInt32($0))) } + [3, 0x61, 0] + bytes + [0]
    }
    let value = BSONDocument(uncheckedBytes: bytes)
    let id = value.bytes.withUnsafeBytes { DocumentID(value: BSONValue(type: .object, bytes: $0)) }
    #expect(id == id.document.id)
    #expect(id.text == "an object")
  }
}
