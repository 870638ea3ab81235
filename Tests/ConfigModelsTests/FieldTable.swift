// SPDX-License-Identifier: Apache-2.0
import ConfigLookupBSON
import Testing

/// One field of a document and its rule, as in the table of the documents.
struct FieldRule: Sendable, CustomTestStringConvertible {
  enum Kind: Sendable {
    case string
    /// A string that is one of these words.
    case choice([String])
    case bool
    case integer(ClosedRange<Int64>)
    case double(ClosedRange<Double>)
    case date
    /// An object whose fields have rules of their own.
    case object
    case objects
    case strings
    case integers
    case stringMap
    case freeFormObject, freeFormArray, freeForm
  }

  enum Absence: Sendable {
    case isRefused
    /// The field is omitted from the served message.
    case isServed
    /// The field is served as if the document contained this value (JSON).
    case means(String)
  }

  let base: String
  let path: String
  let kind: Kind
  let absence: Absence

  init(_ base: String, _ path: String, _ kind: Kind, _ absence: Absence = .isRefused) {
    self.base = base
    self.path = path
    self.kind = kind
    self.absence = absence
  }

  var testDescription: String { "\(path) (\(kind))" }

  /// A value of every BSON type as extended JSON, with the type.
  static let valueOfEachType: [(type: BSONType, json: String)] = [
    (.double, #"{"$numberDouble": "1.0"}"#), (.string, #""x""#), (.object, "{}"), (.array, "[]"),
    (.binary, #"{"$binary": {"base64": "AQI=", "subType": "00"}}"#), (.undefined, #"{"$undefined": true}"#),
    (.objectID, #"{"$oid": "65a1b2c3d4e5f60718293a0f"}"#), (.bool, "true"),
    (.date, #"{"$date": {"$numberLong": "1767916800000"}}"#), (.null, "null"),
    (.regularExpression, #"{"$regularExpression": {"pattern": "a", "options": ""}}"#),
    (.databasePointer, #"{"$dbPointer": {"$ref": "c", "$id": {"$oid": "65a1b2c3d4e5f60718293a0f"}}}"#),
    (.code, #"{"$code": "x"}"#), (.symbol, #"{"$symbol": "x"}"#),
    (.codeWithScope, #"{"$code": "x", "$scope": {}}"#), (.int32, #"{"$numberInt": "1"}"#),
    (.timestamp, #"{"$timestamp": {"t": 1, "i": 1}}"#), (.int64, #"{"$numberLong": "1"}"#),
    (.decimal128, #"{"$numberDecimal": "1"}"#), (.maximumKey, #"{"$maxKey": 1}"#), (.minimumKey, #"{"$minKey": 1}"#),
  ]

  /// The problem of a value of a type; nil if the value is served.
  ///
  /// For a string that must be one of several words, the value is none of them. For a list, the value is empty and
  /// valid.
  func problem(with type: BSONType) -> String? {
    if type == .null || type == .undefined {
      if case .isRefused = absence { return "\(path): is missing" }
      return nil
    }
    func unless(_ types: [BSONType], _ wanted: String) -> String? {
      types.contains(type) ? nil : "\(path): is \(type.name), not \(wanted)"
    }
    switch kind {
    case .string: return unless([.string], "a string")
    case .choice(let words):
      return type == .string ? "\(path): must be one of \(words.joined(separator: ", "))" : unless([], "a string")
    case .bool: return unless([.bool], "a bool")
    case .integer, .double: return unless([.int32, .int64, .double], "a number")
    case .date:
      return type == .string ? "\(path): is not an ISO 8601 date" : unless([.date], "a date")
    case .object, .stringMap, .freeFormObject: return unless([.object], "an object")
    case .objects, .strings, .integers, .freeFormArray: return unless([.array], "an array")
    case .freeForm: return unless([.object, .array], "an object or an array")
    }
  }

  /// Groups of valid values. The values of a group have different types and are served in the same way.
  var equalValues: [[String]] {
    switch kind {
    case .string: [[#""""#], [#""ü""#]]
    case .choice(let words): words.map { ["\"\($0)\""] }
    case .bool: [["true"], ["false"]]
    case .integer(let range):
      [range.lowerBound, range.upperBound].map { bound in
        var values = [#"{"$numberLong": "\#(bound)"}"#]
        if let small = Int32(exactly: bound) { values.append(#"{"$numberInt": "\#(small)"}"#) }
        if let double = Double(exactly: bound) { values.append(#"{"$numberDouble": "\#(double)"}"#) }
        return values
      }
    case .double(let range):
      [range.lowerBound, range.upperBound].map { bound in
        [
          #"{"$numberDouble": "\#(bound)"}"#, #"{"$numberInt": "\#(Int(bound))"}"#,
          #"{"$numberLong": "\#(Int(bound))"}"#,
        ]
      }
    case .date:
      [
        [
          #"{"$date": {"$numberLong": "1767916800250"}}"#, #""2026-01-09T00:00:00.250Z""#,
          #""2026-01-09T03:00:00.250+03:00""#, #""2026-01-09 00:00:00.250""#,
        ]
      ]
    case .object, .objects: []
    case .strings: [["[]"], [#"["a", "b"]"#, #"["a", null, "b"]"#]]
    case .integers: [["[]"], ["[1, 2]", #"[{"$numberLong": "1"}, {"$numberDouble": "2.0"}]"#, "[null, 1, 2]"]]
    case .stringMap: [["{}", #"{"a": null}"#], [#"{"b": "2", "a": "1"}"#, #"{"a": "1", "c": null, "b": "2"}"#]]
    case .freeFormObject: [["{}"], [#"{"a": null}"#]]
    case .freeFormArray: [["[]"], ["[null]"]]
    case .freeForm: [["{}"], ["[]"], [#"{"a": [null]}"#]]
    }
  }

  /// Values that are out of range, with their problems.
  var badValues: [(json: String, problem: String)] {
    switch kind {
    case .integer(let range):
      [
        (#"{"$numberDouble": "1.5"}"#, "\(path): 1.5 is not a whole number"),
        (#"{"$numberDouble": "NaN"}"#, "\(path): nan is not a whole number"),
        (
          #"{"$numberLong": "\#(range.lowerBound - 1)"}"#,
          "\(path): \(range.lowerBound - 1) is below \(range.lowerBound)"
        ),
        (
          #"{"$numberLong": "\#(range.upperBound + 1)"}"#,
          "\(path): \(range.upperBound + 1) is above \(range.upperBound)"
        ),
      ]
    case .double(let range):
      [
        (#"{"$numberDouble": "NaN"}"#, "\(path): is not a number"),
        (#"{"$numberDouble": "Infinity"}"#, "\(path): inf is above \(range.upperBound)"),
        (#"{"$numberDouble": "-Infinity"}"#, "\(path): -inf is below \(range.lowerBound)"),
        ("\(range.upperBound + 0.5)", "\(path): \(range.upperBound + 0.5) is above \(range.upperBound)"),
        ("-0.5", "\(path): -0.5 is below \(range.lowerBound)"),
      ]
    case .strings: [(#"["a", null, 5]"#, "\(path).2: is an int32, not a string")]
    case .integers: [(#"[null, "a"]"#, "\(path).1: is a string, not a number")]
    case .stringMap: [(#"{"k": 5}"#, "\(path).k: is an int32, not a string")]
    case .objects: [("[null, 5]", "\(path).1: is an int32, not an object")]
    default: []
    }
  }
}
