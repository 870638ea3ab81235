// SPDX-License-Identifier: Apache-2.0
/// An encoded protobuf message, decoded by field numbers and without the product's code.
///
/// A message can also be built and encoded, so tests build their requests with it.
public struct WireMessage: Equatable, Sendable {
  /// The value of a field, by its wire type.
  public enum Value: Equatable, Sendable {
    case number(UInt64)
    case fixed(UInt64)
    case bytes([UInt8])
  }

  /// The fields, in order.
  public private(set) var fields: [(number: Int, value: Value)] = []

  /// Returns whether both messages have the same fields in the same order.
  ///
  /// - Parameters:
  ///   - left: one message.
  ///   - right: the other one.
  /// - Returns: true if they are equal.
  public static func == (left: WireMessage, right: WireMessage) -> Bool {
    left.fields.elementsEqual(right.fields) { $0.number == $1.number && $0.value == $1.value }
  }

  /// Creates an empty message.
  public init() {}

  /// Decodes a message.
  ///
  /// - Parameter bytes: the encoded message.
  /// - Throws: ``TestFailure`` if the bytes are malformed.
  public init(_ bytes: some Collection<UInt8>) throws {
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
      let tag = try Self.varint(&rest)
      switch tag & 7 {
      case 0: fields.append((Int(tag >> 3), .number(try Self.varint(&rest))))
      case 1:
        guard rest.count >= 8 else { throw TestFailure("a fixed64 is cut") }
        fields.append((Int(tag >> 3), .fixed(rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })))
        rest = rest.dropFirst(8)
      case 2:
        let count = Int(try Self.varint(&rest))
        guard rest.count >= count else { throw TestFailure("a field of \(count) bytes is cut") }
        fields.append((Int(tag >> 3), .bytes(Array(rest.prefix(count)))))
        rest = rest.dropFirst(count)
      default: throw TestFailure("wire type \(tag & 7)")
      }
    }
  }

  private static func varint(_ rest: inout ArraySlice<UInt8>) throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { throw TestFailure("a varint is cut") }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw TestFailure("a varint is too long")
  }

  // MARK: Reading

  /// Returns the value of a number field.
  ///
  /// - Parameter field: the field number.
  /// - Returns: the value; 0 if the field is absent, as in proto3.
  public func number(_ field: Int) -> UInt64 {
    for case (field, .number(let value)) in fields.reversed() { return value }
    return 0
  }

  /// Returns the value of a `double` field.
  ///
  /// - Parameter field: the field number.
  /// - Returns: the value; 0 if the field is absent.
  public func double(_ field: Int) -> Double {
    for case (field, .fixed(let value)) in fields.reversed() { return Double(bitPattern: value) }
    return 0
  }

  /// Returns all values of a repeated bytes field.
  ///
  /// - Parameter field: the field number.
  /// - Returns: the values, in order.
  public func all(_ field: Int) -> [[UInt8]] {
    fields.compactMap { number, value in
      if number == field, case .bytes(let bytes) = value { return bytes }
      return nil
    }
  }

  /// Returns the value of a bytes field.
  ///
  /// - Parameter field: the field number.
  /// - Returns: the last value; nil if the field is absent.
  public func bytes(_ field: Int) -> [UInt8]? { all(field).last }
  /// Returns the value of a string field.
  ///
  /// - Parameter field: the field number.
  /// - Returns: the value; empty if the field is absent.
  public func text(_ field: Int) -> String { String(decoding: bytes(field) ?? [], as: UTF8.self) }
  /// Returns all values of a repeated string field.
  ///
  /// - Parameter field: the field number.
  /// - Returns: the values, in order.
  public func texts(_ field: Int) -> [String] { all(field).map { String(decoding: $0, as: UTF8.self) } }
  /// Decodes a message field.
  ///
  /// - Parameter field: the field number.
  /// - Returns: the message; empty if the field is absent.
  /// - Throws: ``TestFailure`` if the bytes are malformed.
  public func message(_ field: Int) throws -> WireMessage { try WireMessage(bytes(field) ?? []) }
  /// Decodes all messages of a repeated field.
  ///
  /// - Parameter field: the field number.
  /// - Returns: the messages, in order.
  /// - Throws: ``TestFailure`` if the bytes are malformed.
  public func messages(_ field: Int) throws -> [WireMessage] { try all(field).map { try WireMessage($0) } }

  // MARK: Making

  /// Returns a copy with a string field added.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - text: the value.
  /// - Returns: the copy.
  public func with(_ field: Int, _ text: String) -> WireMessage { with(field, Array(text.utf8)) }

  /// Returns a copy with a number field added.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - number: the value.
  /// - Returns: the copy.
  public func with(_ field: Int, _ number: UInt64) -> WireMessage { adding(field, .number(number)) }

  /// Returns a copy with a bytes field added.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - bytes: the value.
  /// - Returns: the copy.
  public func with(_ field: Int, _ bytes: [UInt8]) -> WireMessage { adding(field, .bytes(bytes)) }

  /// Returns a copy with a message field added.
  ///
  /// - Parameters:
  ///   - field: the field number.
  ///   - message: the value.
  /// - Returns: the copy.
  public func with(_ field: Int, _ message: WireMessage) -> WireMessage { with(field, message.encoded) }

  private func adding(_ field: Int, _ value: Value) -> WireMessage {
    var result = self
    result.fields.append((field, value))
    return result
  }

  /// The encoded message.
  public var encoded: [UInt8] {
    var out: [UInt8] = []
    func varint(_ value: UInt64) {
      var rest = value
      while rest >= 0x80 {
        out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      out.append(UInt8(rest))
    }
    for (field, value) in fields {
      switch value {
      case .number(let number):
        varint(UInt64(field) << 3)
        varint(number)
      case .fixed(let bits):
        varint(UInt64(field) << 3 | 1)
        for shift in stride(from: UInt64(0), to: 64, by: 8) { out.append(UInt8(truncatingIfNeeded: bits >> shift)) }
      case .bytes(let bytes):
        varint(UInt64(field) << 3 | 2)
        varint(UInt64(bytes.count))
        out += bytes
      }
    }
    return out
  }
}
