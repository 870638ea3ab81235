internal import CBSON

/// A whole BSON document: its bytes, owned.
public struct BSONDocument: Sendable, Hashable {
  /// As on the wire: length, elements, a zero byte.
  public let bytes: [UInt8]

  /// The empty document.
  public static let empty = BSONDocument(uncheckedBytes: [5, 0, 0, 0, 0])

  /// Takes bytes that come from the driver, which has checked their length.
  public init(uncheckedBytes bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// Takes bytes from anywhere. Nil unless they are one document: the length right, a zero byte at the end.
  public init?(bytes: [UInt8]) {
    guard bytes.count >= 5, bytes.last == 0 else { return nil }
    let length = bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) }
    guard length == bytes.count else { return nil }
    self.bytes = bytes
  }

  /// Reads MongoDB's extended JSON. Throws what libbson says is wrong with it.
  ///
  /// https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
  public init(json: String) throws(BSONError) {
    var error = bson_error_t()
    var text = json
    let made = text.withUTF8 { utf8 in
      utf8.withMemoryRebound(to: UInt8.self) { bson_new_from_json($0.baseAddress, $0.count, &error) }
    }
    guard let made else {
      throw BSONError(
        message: withUnsafeBytes(of: &error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    defer { bson_destroy(made) }
    self.bytes = BSONDocument.copyBytes(of: made)
  }

  /// The document as relaxed extended JSON, or nil where a string in it is not UTF-8, or something in it is malformed.
  public var json: String? {
    bytes.withUnsafeBytes { try? ExtendedJSON.text(of: BSONValue(type: .object, bytes: $0)) }
  }

  /// Lends the document's fields to `body`; they must not outlive it.
  public func withObject<Result, Failure: Error>(
    _ body: (BSONObject) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // A typed throw does not pass through `withUnsafeBytes` of an array, hence the detour over a span's pointer.
    var outcome: Swift.Result<Result, Failure>?
    bytes.withUnsafeBytes { buffer in
      do throws(Failure) {
        outcome = .success(try body(BSONObject(bytes: buffer, path: "")))
      } catch {
        outcome = .failure(error)
      }
    }
    switch outcome {
    case .success(let result): return result
    case .failure(let error): throw error
    case nil: preconditionFailure("withUnsafeBytes runs its body")
    }
  }

  /// The `_id` of the document, or nil where it has none.
  public var id: DocumentID? {
    withObject { object in object.value("_id").map(DocumentID.init(value:)) }
  }

  /// Copies a `bson_t` that somebody else owns.
  package static func copyBytes(of document: OpaquePointer) -> [UInt8] {
    guard let data = bson_get_data(document) else { return BSONDocument.empty.bytes }
    let length = UnsafeRawPointer(data).loadUnaligned(as: UInt32.self)
    return Array(UnsafeBufferPointer(start: data, count: Int(UInt32(littleEndian: length))))
  }

  /// Lends the document as a `bson_t` to `body`, for a call to libbson or libmongoc.
  package func withBSONPointer<Result>(_ body: (OpaquePointer) throws -> Result) rethrows -> Result {
    guard let pointer = bson_new_from_data(bytes, bytes.count) else {
      preconditionFailure("a BSONDocument holds a whole document")
    }
    defer { bson_destroy(pointer) }
    return try body(pointer)
  }
}

/// What libbson says is wrong.
public struct BSONError: Error, CustomStringConvertible {
  public let message: String

  public init(message: String) {
    self.message = message
  }

  public var description: String { message }
}
