// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON
public import ConfigLookupCore

/// Writes a document element by element.
public struct BSONBuilder: Sendable {
  /// The bytes so far: room for the length, then the elements.
  private var bytes: [UInt8] = [0, 0, 0, 0]

  /// Creates a builder of an empty document.
  public init() {}

  /// Creates a builder that continues a document.
  ///
  /// - Parameter document: the document whose elements come first.
  public init(_ document: BSONDocument) {
    bytes = document.bytes
    bytes.removeLast()
  }

  /// The document of the elements so far.
  public var document: BSONDocument {
    var all = bytes
    all.append(0)
    let length = UInt32(all.count)
    for index in 0..<4 { all[index] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(index))) }
    return BSONDocument(uncheckedBytes: all)
  }

  /// Appends an element.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - type: the type of the value.
  ///   - value: the bytes of the value.
  public mutating func append(_ name: String, type: BSONType, _ value: some Sequence<UInt8>) {
    bytes.append(type.rawValue)
    bytes.append(contentsOf: name.utf8)
    bytes.append(0)
    bytes.append(contentsOf: value)
  }

  /// Appends a value.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - value: the value.
  public mutating func append(_ name: String, _ value: OwnedValue) { append(name, type: value.type, value.bytes) }

  /// Appends a string.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - text: the value.
  public mutating func append(_ name: String, _ text: String) { append(name, OwnedValue(text)) }

  /// Appends an int32.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - number: the value.
  public mutating func append(_ name: String, _ number: Int32) {
    append(name, type: .int32, littleEndian(UInt32(bitPattern: number)))
  }

  /// Appends an int64.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - number: the value.
  public mutating func append(_ name: String, _ number: Int64) {
    append(name, type: .int64, littleEndian(UInt64(bitPattern: number)))
  }

  /// Appends a double.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - number: the value.
  public mutating func append(_ name: String, _ number: Double) {
    append(name, type: .double, littleEndian(number.bitPattern))
  }

  /// Appends a Boolean.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - flag: the value.
  public mutating func append(_ name: String, _ flag: Bool) {
    append(name, type: .bool, CollectionOfOne<UInt8>(flag ? 1 : 0))
  }

  /// Appends a timestamp.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - time: the value.
  public mutating func append(_ name: String, _ time: Revision) {
    append(name, type: .timestamp, littleEndian(time.rawValue))
  }

  /// Appends a date.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - milliseconds: the value, in milliseconds since 1970.
  public mutating func append(_ name: String, dateMilliseconds milliseconds: Int64) {
    append(name, type: .date, littleEndian(UInt64(bitPattern: milliseconds)))
  }

  /// Appends a UUID as binary data of subtype 4.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - uuid: the 16 bytes.
  public mutating func append(_ name: String, uuid: [UInt8]) {
    append(name, type: .binary, littleEndian(UInt32(uuid.count)) + [4] + uuid)
  }

  /// Appends null.
  ///
  /// - Parameter name: the name of the field.
  public mutating func appendNull(_ name: String) { append(name, type: .null, EmptyCollection()) }

  /// Appends an object.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - document: the value.
  public mutating func append(_ name: String, _ document: BSONDocument) {
    append(name, type: .object, document.bytes)
  }

  /// Appends an array of objects.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - documents: the elements.
  public mutating func append(_ name: String, array documents: [BSONDocument]) {
    bytes.append(BSONType.array.rawValue)
    bytes.append(contentsOf: name.utf8)
    bytes.append(0)
    let start = bytes.count
    bytes.reserveCapacity(start + documents.reduce(5) { $0 + $1.bytes.count + 10 })
    bytes.append(contentsOf: [0, 0, 0, 0])
    for (index, document) in documents.enumerated() { append("\(index)", document) }
    bytes.append(0)
    for (index, byte) in littleEndian(UInt32(bytes.count - start)).enumerated() { bytes[start + index] = byte }
  }

  /// Appends an array of strings.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - texts: the elements.
  public mutating func append(_ name: String, array texts: [String]) {
    append(name, OwnedValue(array: texts.map(OwnedValue.init(_:))))
  }

  /// Appends an object that a closure builds.
  ///
  /// - Parameters:
  ///   - name: the name of the field.
  ///   - build: the closure.
  public mutating func append(_ name: String, _ build: (inout BSONBuilder) -> Void) {
    append(name, BSONDocument(building: build))
  }
}

extension BSONDocument {
  /// Creates a document that a closure builds.
  ///
  /// - Parameter build: the closure.
  public init(building build: (inout BSONBuilder) -> Void) {
    var builder = BSONBuilder()
    build(&builder)
    self = builder.document
  }
}

/// The bytes of a number, the least significant one first.
func littleEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian) { Array($0) }
}
