// SPDX-License-Identifier: Apache-2.0
public import CConfigLookupProto

/// A string of a message. Every `string` is `bytes` in the generated C, so that no string is cut at a NUL.
extension ProtobufCBinaryData {
  /// The bytes, which are valid while the message is.
  public var buffer: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : len)
  }

  /// The text; nil if it is not valid UTF-8.
  public var text: String? {
    String(validating: buffer, as: UTF8.self)
  }

  /// The text with invalid UTF-8 replaced by U+FFFD. For output to people only, never for a key.
  public var repairedText: String {
    String(decoding: buffer, as: UTF8.self)
  }

  /// Whether there are no bytes.
  public var isEmpty: Bool { buffer.isEmpty }
}
