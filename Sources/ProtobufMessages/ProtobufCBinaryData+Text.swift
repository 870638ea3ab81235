public import CConfigLookupProto

/// A string of our messages (every `string` is `bytes` in the C, so that nothing is cut at a NUL).
extension ProtobufCBinaryData {
  /// The bytes, lent: good as long as their message.
  public var buffer: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : len)
  }

  /// The text, or nil where it is not valid UTF-8.
  public var text: String? {
    String(validating: buffer, as: UTF8.self)
  }

  /// The text, with what is not valid UTF-8 replaced: for people only, never for a key.
  public var repairedText: String {
    String(decoding: buffer, as: UTF8.self)
  }

  public var isEmpty: Bool { buffer.isEmpty }
}
