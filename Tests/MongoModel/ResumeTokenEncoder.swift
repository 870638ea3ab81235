// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON
public import ConfigLookupCore

/// The contents of a resume token of mongod.
///
/// The text in `_data` is a `KeyString` in hexadecimal digits: the type byte of each value, then the value in an
/// encoding whose order by bytes is the order of the values. The model writes no `_typeBits`: they are needed only to
/// restore the exact types of numbers.
///
/// https://github.com/mongodb/mongo/blob/master/src/mongo/db/pipeline/resume_token.cpp
public struct ResumeTokenData: Sendable, Equatable {
  /// What a token stands for.
  public enum Kind: Sendable, Equatable {
    /// A point between events.
    case highWaterMark
    /// An event.
    case event
  }

  /// The cluster time.
  public var time: Revision
  /// The version of the format: 1, or 2 since MongoDB 5.1.
  public var version: Int
  /// What the token stands for.
  public var kind: Kind
  /// The index of the event in its transaction or batch.
  public var operationIndex: Int
  /// Whether the event is an `invalidate`.
  public var isInvalidate: Bool
  /// The rest of the encoding: the collection's UUID and the identifier of the event.
  public var rest: [UInt8]

  /// Creates the mark of a time.
  ///
  /// - Parameters:
  ///   - time: the time.
  ///   - version: the version of the format.
  public init(highWaterMark time: Revision, version: Int) {
    self.init(time: time, version: version, kind: .highWaterMark, operationIndex: 0, isInvalidate: false, rest: [])
    // Since version 2 a mark has a null where an event has a UUID.
    rest = version >= 2 ? [KeyString.null, KeyString.end] : [KeyString.end]
  }

  /// Creates the token of an event.
  ///
  /// - Parameters:
  ///   - time: the cluster time.
  ///   - version: the version of the format.
  ///   - operationIndex: the index of the event in its transaction or batch.
  ///   - isInvalidate: whether the event is an `invalidate`.
  ///   - uuid: the UUID of the collection.
  ///   - operationType: the type of the event.
  ///   - identifier: the document key, or the description of a command.
  ///   - isCommand: whether the event has no document key.
  public init(
    event time: Revision, version: Int, operationIndex: Int, isInvalidate: Bool, uuid: [UInt8], operationType: String,
    identifier: BSONDocument, isCommand: Bool
  ) {
    self.init(
      time: time, version: version, kind: .event, operationIndex: operationIndex, isInvalidate: isInvalidate, rest: [])
    var bytes: [UInt8] = []
    KeyString.append(OwnedValue(type: .binary, bytes: littleEndian(UInt32(uuid.count)) + [4] + uuid), to: &bytes)
    if version >= 2 {
      let whole = BSONDocument { builder in
        builder.append("operationType", operationType)
        builder.append(isCommand ? "operationDescription" : "documentKey", identifier)
      }
      KeyString.append(OwnedValue(whole), to: &bytes)
    } else {
      KeyString.append(OwnedValue(identifier), to: &bytes)
    }
    bytes.append(KeyString.end)
    rest = bytes
  }

  private init(
    time: Revision, version: Int, kind: Kind, operationIndex: Int, isInvalidate: Bool, rest: [UInt8]
  ) {
    self.time = time
    self.version = version
    self.kind = kind
    self.operationIndex = operationIndex
    self.isInvalidate = isInvalidate
    self.rest = rest
  }

  /// Decodes a token.
  ///
  /// - Parameter data: the hexadecimal digits of `_data`.
  public init?(data: String) {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in data.utf8 {
      guard let value = Character(UnicodeScalar(digit)).hexDigitValue.map(UInt8.init) else { return nil }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    guard high == nil, bytes.count > 9, bytes[0] == KeyString.timestamp else { return nil }
    let time = Revision(bytes[1..<9].reduce(0) { $0 << 8 | UInt64($1) })
    var rest = bytes[9...]
    guard let version = KeyString.takeInteger(&rest), version == 1 || version == 2,
      let kind = KeyString.takeInteger(&rest), kind == 0 || kind == 128,
      let index = KeyString.takeInteger(&rest), let flag = rest.popFirst(), flag == 0x6E || flag == 0x6F,
      rest.last == KeyString.end
    else { return nil }
    self.init(
      time: time, version: version, kind: kind == 0 ? .highWaterMark : .event, operationIndex: index,
      isInvalidate: flag == 0x6F, rest: Array(rest))
  }

  /// The hexadecimal digits of `_data`.
  public var data: String {
    var bytes: [UInt8] = []
    KeyString.append(OwnedValue(type: .timestamp, bytes: littleEndian(time.rawValue)), to: &bytes)
    KeyString.append(integer: version, to: &bytes)
    KeyString.append(integer: kind == .event ? 128 : 0, to: &bytes)
    KeyString.append(integer: operationIndex, to: &bytes)
    bytes.append(isInvalidate ? 0x6F : 0x6E)
    bytes += rest
    return hexadecimal(bytes)
  }

  /// The token as a document.
  public var document: BSONDocument { BSONDocument { $0.append("_data", data) } }
}

/// Returns bytes in upper-case hexadecimal digits.
func hexadecimal(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789ABCDEF".utf8)
  return String(
    decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// The parts of mongod's `KeyString` that resume tokens need, in ascending order.
///
/// https://github.com/mongodb/mongo/blob/master/src/mongo/db/storage/key_string/key_string.cpp
enum KeyString {
  static let end: UInt8 = 4
  static let null: UInt8 = 20
  static let timestamp: UInt8 = 130
  private static let zero = 41

  /// Appends the type and the encoding of a value.
  static func append(_ value: OwnedValue, to bytes: inout [UInt8]) {
    switch value.type {
    case .timestamp:
      bytes.append(timestamp)
      bytes += value.bytes.reversed()
    case .int32, .int64: append(integer: Int(value.integer ?? 0), to: &bytes)
    case .double:
      // Only whole numbers occur.
      append(integer: Int(value.integer ?? 0), to: &bytes)
    case .string:
      bytes.append(canonicalType(.string))
      appendString(value.bytes.dropFirst(4).dropLast(), to: &bytes)
    case .object:
      bytes.append(canonicalType(.object))
      for field in FieldList(BSONDocument(uncheckedBytes: value.bytes)).fields {
        bytes.append(canonicalType(field.value.type))
        bytes += field.name.utf8
        bytes.append(0)
        append(field.value, to: &bytes)
      }
      bytes.append(0)
    case .binary:
      let data = value.bytes.dropFirst(5)
      bytes.append(canonicalType(.binary))
      if data.count < 0xFF {
        bytes.append(UInt8(data.count))
      } else {
        bytes.append(0xFF)
        bytes += littleEndian(UInt32(data.count)).reversed()
      }
      bytes.append(value.bytes[4])
      bytes += data
    case .objectID:
      bytes.append(canonicalType(.objectID))
      bytes += value.bytes
    case .bool: bytes.append(value.isTrue ? 0x6F : 0x6E)
    case .date:
      bytes.append(canonicalType(.date))
      bytes += littleEndian(UInt64(bitPattern: value.integer ?? 0) ^ (1 << 63)).reversed()
    default:
      // Other types of `_id` keep their bytes, which makes the token unique, though not ordered as mongod's.
      bytes.append(canonicalType(value.type))
      bytes += value.bytes
    }
  }

  /// Appends an integer: the type byte is that of zero plus or minus the number of bytes; the magnitude is shifted by
  /// one, because the lowest bit says whether a fraction follows.
  static func append(integer: Int, to bytes: inout [UInt8]) {
    guard integer != 0 else { return bytes.append(UInt8(zero)) }
    var shifted = integer.magnitude << 1
    var magnitude: [UInt8] = []
    while shifted > 0 {
      magnitude.insert(UInt8(truncatingIfNeeded: shifted), at: 0)
      shifted >>= 8
    }
    // The type of a positive number of one byte is 43.
    if integer > 0 {
      bytes.append(UInt8(zero + 1 + magnitude.count))
      bytes += magnitude
    } else {
      bytes.append(UInt8(zero - 1 - magnitude.count))
      bytes += magnitude.map { ~$0 }
    }
  }

  /// Removes an integer that is not negative; nil if there is another value.
  static func takeInteger(_ bytes: inout ArraySlice<UInt8>) -> Int? {
    guard let type = bytes.popFirst() else { return nil }
    if Int(type) == zero { return 0 }
    let count = Int(type) - zero - 1
    guard (1...8).contains(count), bytes.count >= count else { return nil }
    let value = bytes.prefix(count).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    bytes = bytes.dropFirst(count)
    return value & 1 == 0 ? Int(value >> 1) : nil
  }

  private static func appendString(_ text: some Sequence<UInt8>, to bytes: inout [UInt8]) {
    for byte in text {
      bytes.append(byte)
      if byte == 0 { bytes.append(0xFF) }
    }
    bytes.append(0)
  }

  private static func canonicalType(_ type: BSONType) -> UInt8 {
    switch type {
    case .minimumKey: 10
    case .undefined: 15
    case .null: null
    case .double, .int32, .int64, .decimal128: 30
    case .string, .symbol: 60
    case .object: 70
    case .array: 80
    case .binary: 90
    case .objectID: 100
    case .bool: 110
    case .date: 120
    case .timestamp: timestamp
    case .regularExpression: 140
    case .databasePointer: 150
    case .code: 160
    case .codeWithScope: 170
    case .maximumKey: 240
    }
  }
}
