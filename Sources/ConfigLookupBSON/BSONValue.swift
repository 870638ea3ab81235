// SPDX-License-Identifier: Apache-2.0
/// The BSON types, with their numbers in the encoding (https://bsonspec.org/spec.html).
public enum BSONType: UInt8, Sendable {
  case double = 0x01
  case string = 0x02
  case object = 0x03
  case array = 0x04
  case binary = 0x05
  case undefined = 0x06
  case objectID = 0x07
  case bool = 0x08
  case date = 0x09
  case null = 0x0A
  case regularExpression = 0x0B
  case databasePointer = 0x0C
  case code = 0x0D
  case symbol = 0x0E
  case codeWithScope = 0x0F
  case int32 = 0x10
  case timestamp = 0x11
  case int64 = 0x12
  case decimal128 = 0x13
  case maximumKey = 0x7F
  case minimumKey = 0xFF

  /// The name of the type for messages.
  public var name: String {
    switch self {
    case .double: "a double"
    case .string: "a string"
    case .object: "an object"
    case .array: "an array"
    case .binary: "binary data"
    case .undefined: "undefined"
    case .objectID: "an ObjectId"
    case .bool: "a bool"
    case .date: "a date"
    case .null: "null"
    case .regularExpression: "a regular expression"
    case .databasePointer: "a DBPointer"
    case .code, .codeWithScope: "JavaScript"
    case .symbol: "a symbol"
    case .int32: "an int32"
    case .timestamp: "a timestamp"
    case .int64: "an int64"
    case .decimal128: "a decimal128"
    case .maximumKey: "MaxKey"
    case .minimumKey: "MinKey"
    }
  }
}

/// One value in a document. It does not own its bytes: it must not outlive the closure that received it.
public struct BSONValue {
  /// The type of the value.
  public let type: BSONType
  /// The bytes of the value in BSON's encoding, without type and name.
  public let bytes: UnsafeRawBufferPointer

  /// Creates a value.
  ///
  /// - Parameters:
  ///   - type: the type.
  ///   - bytes: the bytes, which must outlive the value.
  public init(type: BSONType, bytes: UnsafeRawBufferPointer) {
    self.type = type
    self.bytes = bytes
  }

  /// False for null, and for undefined, which older drivers wrote instead of null: a field with either counts as
  /// absent.
  var isPresent: Bool { type != .null && type != .undefined }

  /// The bytes of a string or symbol, without its length and its zero byte; nil for other types. They may contain a
  /// zero byte and need not be UTF-8.
  public var stringBytes: UnsafeRawBufferPointer? {
    guard type == .string || type == .symbol, bytes.count >= 5 else { return nil }
    return UnsafeRawBufferPointer(rebasing: bytes[4..<(bytes.count - 1)])
  }

  /// The value of an int32; nil for other types.
  public var int32: Int32? {
    type == .int32 ? Int32(littleEndian: bytes.loadUnaligned(as: Int32.self)) : nil
  }

  /// The value of an int64 or a date; nil for other types.
  public var int64: Int64? {
    type == .int64 || type == .date ? Int64(littleEndian: bytes.loadUnaligned(as: Int64.self)) : nil
  }

  /// The value of a double; nil for other types.
  public var double: Double? {
    type == .double ? Double(bitPattern: UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))) : nil
  }

  /// The value of a Boolean; nil for other types.
  public var bool: Bool? {
    type == .bool ? bytes[0] != 0 : nil
  }

  /// The seconds and increment of a timestamp; nil for other types.
  public var timestamp: (seconds: UInt32, increment: UInt32)? {
    guard type == .timestamp else { return nil }
    let both = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    return (UInt32(truncatingIfNeeded: both >> 32), UInt32(truncatingIfNeeded: both))
  }
}
