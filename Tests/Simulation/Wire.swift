// SPDX-License-Identifier: Apache-2.0
/// An encoded protobuf message that is read and written by field numbers, without the product's code.
struct Wire {
  private enum Value {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
  }

  private var fields: [(number: Int, value: Value)] = []

  init() {}

  /// Decodes a message. Decoding ends at the first invalid field.
  init(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while let tag = Self.varint(&rest) {
      switch tag & 7 {
      case 0:
        guard let number = Self.varint(&rest) else { return }
        fields.append((Int(tag >> 3), .number(number)))
      case 1: rest = rest.dropFirst(8)
      case 2:
        guard let count = Self.varint(&rest), count <= rest.count else { return }
        fields.append((Int(tag >> 3), .bytes(rest.prefix(Int(count)))))
        rest = rest.dropFirst(Int(count))
      default: return
      }
    }
  }

  /// The value of a field; 0 if it is absent.
  func number(_ field: Int) -> UInt64 {
    for case (field, .number(let value)) in fields { return value }
    return 0
  }

  /// The bytes of a field; nil if it is absent.
  func bytes(_ field: Int) -> ArraySlice<UInt8>? {
    for case (field, .bytes(let value)) in fields { return value }
    return nil
  }

  /// All messages of a repeated field.
  func messages(_ field: Int) -> [Wire] {
    fields.compactMap { number, value in
      if case .bytes(let bytes) = value, number == field { Wire(bytes) } else { nil }
    }
  }

  func texts(_ field: Int) -> [String] {
    fields.compactMap { number, value in
      if case .bytes(let bytes) = value, number == field { String(decoding: bytes, as: UTF8.self) } else { nil }
    }
  }

  func text(_ field: Int) -> String { String(decoding: bytes(field) ?? [], as: UTF8.self) }
  func message(_ field: Int) -> Wire { Wire(bytes(field) ?? []) }

  var isEmpty: Bool { fields.isEmpty }

  mutating func add(_ field: Int, _ number: UInt64) {
    if number > 0 { fields.append((field, .number(number))) }
  }

  mutating func add(_ field: Int, _ text: String) {
    if !text.isEmpty { fields.append((field, .bytes(Array(text.utf8)[...]))) }
  }

  mutating func add(_ field: Int, _ message: Wire) {
    fields.append((field, .bytes(message.encoded[...])))
  }

  var encoded: [UInt8] {
    var out: [UInt8] = []
    for (field, value) in fields {
      switch value {
      case .number(let number):
        Self.append(UInt64(field) << 3, to: &out)
        Self.append(number, to: &out)
      case .bytes(let bytes):
        Self.append(UInt64(field) << 3 | 2, to: &out)
        Self.append(UInt64(bytes.count), to: &out)
        out += bytes
      }
    }
    return out
  }

  private static func append(_ value: UInt64, to out: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    out.append(UInt8(rest))
  }

  private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }
}
