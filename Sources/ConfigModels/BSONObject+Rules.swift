// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// Validation rules that the three kinds of documents share.
extension BSONObject {
  /// The maximum length of a key in bytes. Every request with a longer key is rejected, so a document with one could
  /// never be found.
  static let maximumKeyLength = 256
  /// The range of `google.protobuf.Timestamp`, 0001-01-01 to 9999-12-31, in milliseconds since 1970.
  static let dateRange: ClosedRange<Int64> = -62_135_596_800_000...253_402_300_799_999

  /// Reads a non-empty string that can be used as a key.
  func lookupKey(_ name: String) throws(DocumentProblem) -> String {
    let key = try nonEmptyString(name)
    try checkKey(key, name)
    return key
  }

  /// Throws a problem if no lookup could contain `key`.
  func checkKey(_ key: String, _ name: String) throws(DocumentProblem) {
    if key.utf8.count > Self.maximumKeyLength {
      throw problem(name, "is longer than \(Self.maximumKeyLength) bytes")
    }
    if key.utf8.contains(0) { throw problem(name, "contains a NUL byte") }
  }

  func version(_ name: String) throws(DocumentProblem) -> SemanticVersion {
    guard let version = SemanticVersion(try string(name)) else {
      throw problem(name, "is not a semantic version (X.Y.Z[-PRERELEASE][+BUILD])")
    }
    return version
  }

  /// Reads the field `id`, which must be `{owner}:{version}`. `ownerName` is the name of the field that `owner` comes
  /// from.
  func versionedID(of owner: String, _ ownerName: String, _ version: SemanticVersion) throws(DocumentProblem)
    -> String
  {
    let id = try string("id")
    // Compared by bytes, because `==` treats two Unicode spellings of `é` as equal.
    guard Array(id.utf8) == Array((owner + ":" + version.text).utf8) else {
      throw problem("id", "does not have the form {\(ownerName)}:{version}")
    }
    return id
  }

  func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, default fallback: Choice? = nil)
    throws(DocumentProblem) -> Choice where Choice.RawValue == String
  {
    if let word = try optionalString(name), let choice = Choice(rawValue: word) { return choice }
    let word = try choice(name, of: Choice.allCases.map(\.rawValue), default: fallback?.rawValue)
    guard let choice = Choice(rawValue: word) else { throw problem(name, "is missing") }
    return choice
  }

  func optionalChoice<Choice: RawRepresentable & CaseIterable>(_ name: String) throws(DocumentProblem) -> Choice?
  where Choice.RawValue == String {
    guard try optionalString(name) != nil else { return nil }
    let choice: Choice = try choice(name)
    return choice
  }

  func int32(_ name: String, in range: ClosedRange<Int64> = Self.int32Range, default fallback: Int32? = nil)
    throws(DocumentProblem) -> Int32
  {
    Int32(truncatingIfNeeded: try integer(name, in: range, default: fallback.map(Int64.init)))
  }

  func optionalInt32(_ name: String) throws(DocumentProblem) -> Int32? {
    try optionalInteger(name, in: Self.int32Range).map(Int32.init(truncatingIfNeeded:))
  }

  /// The range of fields that are int32 in the message and for which the rules set no range.
  static var int32Range: ClosedRange<Int64> { Int64(Int32.min)...Int64(Int32.max) }

  func stringMap(_ name: String) throws(DocumentProblem) -> [StringPair] {
    try optionalStringMap(name)?.map { StringPair(key: $0.key, value: $0.value) } ?? []
  }

  /// Reads a date in milliseconds since 1970; nil if the document has none.
  func optionalTimestamp(_ name: String) throws(DocumentProblem) -> Int64? {
    guard let milliseconds = try optionalDate(name) else { return nil }
    guard Self.dateRange.contains(milliseconds) else { throw problem(name, "is outside the years 1 to 9999") }
    return milliseconds
  }
}
