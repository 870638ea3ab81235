internal import ProtobufMessages

/// A `ServerReflectionRequest`, v1 or v1alpha: they are alike.
struct ReflectionRequest {
  enum Question: Equatable {
    case fileByName(String)
    case fileContainingSymbol(String)
    case fileContainingExtension(ofType: String, number: Int32)
    case extensionNumbers(ofType: String)
    case listServices
    /// Nothing, or nothing that is known here.
    case none
  }

  private(set) var host = ""
  private(set) var question = Question.none
  /// The request itself, for the reply.
  let bytes: [UInt8]
  /// Bytes of memory that it takes: the request, and the texts that are taken from it.
  var heldByteCount: Int { 2 * bytes.count + 256 }

  init(_ message: UnsafeRawBufferPointer) throws(ProtobufError) {
    bytes = Array(message)
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      // Of a oneof the last one counts.
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

  /// An `ExtensionRequest`.
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
