// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupRPC
internal import ProtobufMessages

/// The maximum size of a key in bytes. The minimum is 1.
let maximumKeyBytes = 256
/// The maximum size of a blob's path in bytes. Azure allows 1,024 characters.
let maximumPathBytes = 4096
/// The number of bytes of a key that an error message shows. Every key of the service fits, and most paths.
private let maximumShownBytes = 512

/// Returns the bytes of a key in a request, checked: not empty, not too long, UTF-8, and without a zero byte (at which
/// C would end the text).
///
/// - Parameters:
///   - data: the key.
///   - field: the name of the request field, for the error. It is evaluated only then: a request may have thousands.
///   - limit: the highest number of bytes.
/// - Returns: the bytes of `data`.
/// - Throws: INVALID_ARGUMENT, which names the field.
func checkedKey(
  _ data: ProtobufCBinaryData, _ field: @autoclosure () -> String, limit: Int = maximumKeyBytes
) throws(RPCStatus) -> UnsafeRawBufferPointer {
  let bytes = data.buffer
  if bytes.isEmpty { throw RPCStatus.invalid(field(), "is empty") }
  if bytes.count > limit {
    throw RPCStatus.invalid(field(), "has \(bytes.count) bytes; the limit is \(limit)")
  }
  if !isPlainText(bytes) { try checkText(bytes, field()) }
  return bytes
}

/// Throws INVALID_ARGUMENT unless `bytes` are UTF-8 without a zero byte.
func checkText(_ bytes: UnsafeRawBufferPointer, _ field: String) throws(RPCStatus) {
  if isPlainText(bytes) { return }
  if bytes.contains(0) { throw RPCStatus.invalid(field, "contains a zero byte") }
  if String(validating: bytes, as: UTF8.self) == nil {
    throw RPCStatus.invalid(field, "is not valid UTF-8")
  }
}

/// Returns true if all bytes are ASCII and none is zero, as in nearly every key, without decoding them. False means
/// that they may or may not be valid text.
func isPlainText(_ bytes: UnsafeRawBufferPointer) -> Bool {
  var all: UInt64 = 0
  var place = 0
  while place + 8 <= bytes.count {
    let word = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
    all |= word
    // Not 0 if one of the bytes is 0 (or is not ASCII).
    all |= (word &- 0x0101_0101_0101_0101) & 0x8080_8080_8080_8080
    place += 8
  }
  while place < bytes.count {
    all |= bytes[place] == 0 ? 0x80 : UInt64(bytes[place])
    place += 1
  }
  return all & 0x8080_8080_8080_8080 == 0
}

/// A key as text for error messages. Of a long one only the start is shown: gRPC sends the message twice in the headers
/// of the reply, which many clients limit to 8 KiB.
func shown(_ key: UnsafeRawBufferPointer) -> String {
  guard key.count > maximumShownBytes else { return "\"\(String(decoding: key, as: UTF8.self))\"" }
  var end = maximumShownBytes
  while end > 0, key[end] & 0xc0 == 0x80 { end -= 1 }
  return "\"\(String(decoding: key[..<end], as: UTF8.self))...\" (\(key.count) bytes)"
}
