/// The `_id` of a document, of any BSON type.
///
/// Two are equal where MongoDB takes them for one `_id`: numbers are compared by value, whatever their type, and so on
/// (see `CanonicalValue`). A replacement may so give a document the same `_id` in another type.
public struct DocumentID: Sendable, Hashable, Comparable {
  /// The number of the BSON type, then the value's bytes, of the one value that stands for all that are equal.
  private let encoded: [UInt8]

  /// Copies the value of an `_id`.
  ///
  /// - Parameter value: a value of any type.
  public init(value: BSONValue) {
    var encoded: [UInt8] = []
    encoded.reserveCapacity(value.bytes.count + 1)
    CanonicalValue.append(value, to: &encoded)
    self.encoded = encoded
  }

  /// A string id: for sources that are not MongoDB.
  public init(_ text: String) {
    var encoded: [UInt8] = [BSONType.string.rawValue]
    withUnsafeBytes(of: UInt32(text.utf8.count + 1).littleEndian) { encoded.append(contentsOf: $0) }
    encoded.append(contentsOf: text.utf8)
    encoded.append(0)
    self.encoded = encoded
  }

  public func hash(into hasher: inout Hasher) {
    // All at once: an array's own way is byte by byte.
    encoded.withUnsafeBytes { hasher.combine(bytes: $0) }
  }

  /// The order of the ``text``, by bytes. Ids of two types whose texts are the same are in the order of their bytes.
  public static func < (left: DocumentID, right: DocumentID) -> Bool {
    let (leftText, rightText) = (left.text.utf8, right.text.utf8)
    if leftText.elementsEqual(rightText) { return left.encoded.lexicographicallyPrecedes(right.encoded) }
    return leftText.lexicographicallyPrecedes(rightText)
  }

  /// For people, logs and notices: a string as it is, an ObjectId as 24 hexadecimal digits, a number in digits,
  /// anything else as extended JSON. Equal ids have equal texts.
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

  /// `{"_id": value}` as a document. The value may be of another type than the one that was given, and is equal to it.
  public var document: BSONDocument {
    encoded.withUnsafeBytes { all in
      BSONDocument.ofOneField("_id", type: all.first ?? BSONType.null.rawValue, value: all.dropFirst())
    }
  }
}

extension BSONDocument {
  /// `{name: value}`
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
