// SPDX-License-Identifier: Apache-2.0
/// The `_id` of a document, of any BSON type.
///
/// Two ids are equal if MongoDB treats them as one `_id`: for example, numbers are compared by value, regardless of
/// their type (see `CanonicalValue`). So a replacement may give a document the same `_id` in another type.
public struct DocumentID: Sendable, Hashable, Comparable {
  /// The number of the BSON type and the bytes of the canonical value, which is the same for all equal values.
  private let encoded: [UInt8]

  /// Creates an id by copying the value of an `_id`.
  ///
  /// - Parameter value: a value of any type.
  public init(value: BSONValue) {
    var encoded: [UInt8] = []
    encoded.reserveCapacity(value.bytes.count + 1)
    CanonicalValue.append(value, to: &encoded)
    self.encoded = encoded
  }

  /// Creates a string id, for sources other than MongoDB.
  ///
  /// - Parameter text: the id.
  public init(_ text: String) {
    var encoded: [UInt8] = [BSONType.string.rawValue]
    withUnsafeBytes(of: UInt32(text.utf8.count + 1).littleEndian) { encoded.append(contentsOf: $0) }
    encoded.append(contentsOf: text.utf8)
    encoded.append(0)
    self.encoded = encoded
  }

  /// Adds the id to a hasher.
  ///
  /// - Parameter hasher: the hasher.
  public func hash(into hasher: inout Hasher) {
    // One call for all bytes, because an array's own implementation hashes byte by byte.
    encoded.withUnsafeBytes { hasher.combine(bytes: $0) }
  }

  /// Returns whether the ``text`` of `left` is before that of `right`, by bytes. Ids of two types with the same text
  /// are in the order of their encodings.
  ///
  /// - Parameters:
  ///   - left: one id.
  ///   - right: the other one.
  /// - Returns: true if `left` is before `right`.
  public static func < (left: DocumentID, right: DocumentID) -> Bool {
    let (leftText, rightText) = (left.text.utf8, right.text.utf8)
    if leftText.elementsEqual(rightText) { return left.encoded.lexicographicallyPrecedes(right.encoded) }
    return leftText.lexicographicallyPrecedes(rightText)
  }

  /// The id as text for people, logs and notices: a string unchanged, an ObjectId as 24 hexadecimal digits, a number in
  /// digits, any other value as extended JSON. Equal ids have equal texts.
  public var text: String {
    encoded.withUnsafeBytes { all in
      guard let first = all.first, let type = BSONType(rawValue: first) else { return "" }
      let value = BSONValue(type: type, bytes: UnsafeRawBufferPointer(rebasing: all.dropFirst()))
      switch type {
      case .string:
        return String(decoding: value.stringBytes ?? UnsafeRawBufferPointer(start: nil, count: 0), as: UTF8.self)
      case .objectID:
        return value.bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
      case .int64: return "\(value.int64 ?? 0)"
      case .double: return "\(value.double ?? 0)"
      default: return (try? ExtendedJSON.text(of: value)) ?? value.type.name
      }
    }
  }

  /// The document `{"_id": value}`. The value equals the original one, but may have another type.
  public var document: BSONDocument {
    encoded.withUnsafeBytes { all in
      BSONDocument.ofOneField("_id", type: all.first ?? BSONType.null.rawValue, value: all.dropFirst())
    }
  }
}

extension BSONDocument {
  /// Creates the document `{name: value}`.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - value: the value, which is copied.
  public init(oneField name: String, _ value: BSONValue) {
    self = Self.ofOneField(name, type: value.type.rawValue, value: value.bytes)
  }

  static func ofOneField(_ name: String, type: UInt8, value: some Collection<UInt8>) -> BSONDocument {
    var bytes: [UInt8] = [0, 0, 0, 0, type]
    bytes.append(contentsOf: name.utf8)
    bytes.append(0)
    bytes.append(contentsOf: value)
    bytes.append(0)
    let length = UInt32(bytes.count)
    for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(index))) }
    return BSONDocument(uncheckedBytes: bytes)
  }
}
