// SPDX-License-Identifier: Apache-2.0
internal import CBSON

/// A whole BSON document, which owns its bytes.
public struct BSONDocument: Sendable, Hashable {
  /// The bytes in BSON's encoding: length, elements, a zero byte.
  public let bytes: [UInt8]

  /// The empty document.
  public static let empty = BSONDocument(uncheckedBytes: [5, 0, 0, 0, 0])

  /// Creates a document of bytes that come from the driver, which has validated their length.
  ///
  /// - Parameter bytes: the bytes of one document.
  public init(uncheckedBytes bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// Creates a document of untrusted bytes. The result is nil unless the length is correct and the last byte is zero.
  ///
  /// - Parameter bytes: the bytes.
  public init?(bytes: [UInt8]) {
    guard bytes.count >= 5, bytes.last == 0 else { return nil }
    let length = bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) }
    guard length == bytes.count else { return nil }
    self.bytes = bytes
  }

  /// Parses MongoDB's extended JSON.
  ///
  /// https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
  ///
  /// - Parameter json: the JSON text of an object.
  /// - Throws: the error of libbson.
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

  /// The document as relaxed extended JSON; nil if the document is malformed or a string in it is not UTF-8.
  public var json: String? {
    bytes.withUnsafeBytes { try? ExtendedJSON.text(of: BSONValue(type: .object, bytes: $0)) }
  }

  /// Calls a closure with the document's fields, which must not outlive the call.
  ///
  /// - Parameter body: the closure.
  /// - Returns: the closure's result.
  /// - Throws: the closure's error.
  public func withObject<Result, Failure: Error>(
    _ body: (BSONObject) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // An array's `withUnsafeBytes` does not forward a typed throw, so the error is carried in a result.
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

  /// The `_id` of the document; nil if it has none.
  public var id: DocumentID? {
    withObject { object in object.value("_id").map(DocumentID.init(value:)) }
  }

  /// Copies the bytes of a `bson_t` that is owned elsewhere.
  ///
  /// - Parameter document: a valid `bson_t`.
  /// - Returns: the bytes of the document.
  package static func copyBytes(of document: OpaquePointer) -> [UInt8] {
    guard let data = bson_get_data(document) else { return BSONDocument.empty.bytes }
    let length = UnsafeRawPointer(data).loadUnaligned(as: UInt32.self)
    return Array(UnsafeBufferPointer(start: data, count: Int(UInt32(littleEndian: length))))
  }

  /// Calls a closure with the document as a `bson_t`, for a call to libbson or libmongoc.
  ///
  /// - Parameter body: the closure. The pointer must not outlive the call.
  /// - Returns: the closure's result.
  /// - Throws: the closure's error.
  package func withBSONPointer<Result>(_ body: (OpaquePointer) throws -> Result) rethrows -> Result {
    guard let pointer = bson_new_from_data(bytes, bytes.count) else {
      preconditionFailure("a BSONDocument holds a whole document")
    }
    defer { bson_destroy(pointer) }
    return try body(pointer)
  }
}

/// An error of libbson.
public struct BSONError: Error, CustomStringConvertible {
  /// The description of the error.
  public let message: String

  /// Creates an error.
  ///
  /// - Parameter message: the description of the error.
  public init(message: String) {
    self.message = message
  }

  /// The description of the error.
  public var description: String { message }
}
