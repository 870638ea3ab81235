// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// Goes over the elements of a document without a call across modules for each: the model looks up a dozen fields of
/// each command.
struct ElementScanner {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 4
  /// The type and the places of the current element's name and value.
  private(set) var type = BSONType.null
  private(set) var name = 0..<0
  private(set) var value = 0..<0

  init(_ bytes: UnsafeBufferPointer<UInt8>) {
    self.bytes = bytes
  }

  /// Advances to the next element. Returns false at the end, and before a malformed element.
  mutating func next() -> Bool {
    guard position < bytes.count, bytes[position] != 0, let type = BSONType(rawValue: bytes[position]) else {
      return false
    }
    self.type = type
    guard let end = end(ofTextAt: position + 1) else { return false }
    name = (position + 1)..<end
    guard let length = length(at: end + 1), length >= 0, end + 1 + length <= bytes.count else { return false }
    value = (end + 1)..<(end + 1 + length)
    position = value.upperBound
    return true
  }

  private func end(ofTextAt start: Int) -> Int? {
    var end = start
    while end < bytes.count, bytes[end] != 0 { end += 1 }
    return end < bytes.count ? end : nil
  }

  private func number(at place: Int) -> Int? {
    guard place + 4 <= bytes.count else { return nil }
    return (0..<4).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
  }

  /// The length of the value at a place.
  private func length(at place: Int) -> Int? {
    switch type {
    case .undefined, .null, .minimumKey, .maximumKey: 0
    case .bool: 1
    case .int32: 4
    case .double, .date, .timestamp, .int64: 8
    case .objectID: 12
    case .decimal128: 16
    case .string, .code, .symbol: number(at: place).map { $0 + 4 }
    case .object, .array, .codeWithScope: number(at: place)
    case .binary: number(at: place).map { $0 + 5 }
    case .databasePointer: number(at: place).map { $0 + 16 }
    case .regularExpression:
      end(ofTextAt: place).flatMap { end(ofTextAt: $0 + 1) }.map { $0 + 1 - place }
    }
  }

  /// A copy of the current value.
  var owned: OwnedValue { OwnedValue(type: type, bytes: Array(bytes[value])) }

  /// Whether the current name is `text`.
  func hasName(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    guard name.count == text.count else { return false }
    for index in 0..<text.count where bytes[name.lowerBound + index] != text[index] { return false }
    return true
  }

  /// The current name.
  var nameText: String { String(decoding: bytes[name], as: UTF8.self) }
}
