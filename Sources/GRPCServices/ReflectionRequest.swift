// SPDX-License-Identifier: Apache-2.0
internal import ProtobufMessages

/// A `ServerReflectionRequest` of v1 or v1alpha, which have the same format.
struct ReflectionRequest {
  enum Question: Equatable {
    case fileByName(String)
    case fileContainingSymbol(String)
    case fileContainingExtension(ofType: String, number: Int32)
    case extensionNumbers(ofType: String)
    case listServices
    /// The request has no question, or one that is not supported.
    case none
  }

  private(set) var host = ""
  private(set) var question = Question.none
  /// The encoded request, which the reply repeats.
  let bytes: [UInt8]
  /// Number of bytes of memory that the object takes: the request, and the strings that are read from it.
  var heldByteCount: Int { 2 * bytes.count + 256 }

  init(_ message: UnsafeRawBufferPointer) throws(ProtobufError) {
    bytes = Array(message)
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      // Of the members of a oneof the last one counts.
      switch field.number {
      case 1: host = try Self.text(field.value)
      case 3: question = .fileByName(try Self.text(field.value))
      case 4: question = .fileContainingSymbol(try Self.text(field.value))
      case 5: question = try Self.extensionQuestion(field.value)
      case 6: question = .extensionNumbers(ofType: try Self.text(field.value))
      case 7:
        _ = try Self.text(field.value)
        question = .listServices
      default: break
      }
    }
  }

  /// Reads an `ExtensionRequest`.
  private static func extensionQuestion(_ value: ProtobufReader.Value) throws(ProtobufError) -> Question {
    guard case .bytes(let bytes) = value else { throw .malformed }
    var (type, number) = ("", Int32(0))
    var reader = ProtobufReader(bytes)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, _): type = try text(field.value)
      case (2, .varint(let value)): number = Int32(truncatingIfNeeded: value)
      case (2, _): throw .malformed
      default: break
      }
    }
    return .fileContainingExtension(ofType: type, number: number)
  }

  private static func text(_ value: ProtobufReader.Value) throws(ProtobufError) -> String {
    guard case .bytes(let bytes) = value, let text = String(validating: bytes, as: UTF8.self) else { throw .malformed }
    return text
  }
}
