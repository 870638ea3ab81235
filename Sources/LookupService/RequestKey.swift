internal import CConfigLookupProto
internal import ProtobufMessages
internal import RPC

/// Keys have 1 to this many bytes.
let maximumKeyBytes = 256
/// A blob's path is longer than a key; Azure allows 1,024 characters.
let maximumPathBytes = 4096

/// The bytes of a key in a request, checked: not empty, not too long, UTF-8, and no zero byte (which C would cut at).
func checkedKey(_ data: ProtobufCBinaryData, _ field: String, limit: Int = maximumKeyBytes) throws(RPCStatus)
  -> UnsafeRawBufferPointer
{
  let bytes = data.buffer
  if bytes.isEmpty { throw RPCStatus.invalid(field, "is empty") }
  if bytes.count > limit {
    throw RPCStatus.invalid(field, "has \(bytes.count) bytes; the limit is \(limit)")
  }
  try checkText(bytes, field)
  return bytes
}

/// Throws unless `bytes` are UTF-8 without a zero byte.
func checkText(_ bytes: UnsafeRawBufferPointer, _ field: String) throws(RPCStatus) {
  if isPlainText(bytes) { return }
  if bytes.contains(0) { throw RPCStatus.invalid(field, "contains a zero byte") }
  if String(validating: bytes, as: UTF8.self) == nil {
    throw RPCStatus.invalid(field, "is not valid UTF-8")
  }
}

/// Whether all bytes are ASCII and none is zero, as in nearly every key: seen without decoding. False: perhaps.
func isPlainText(_ bytes: UnsafeRawBufferPointer) -> Bool {
  var all: UInt64 = 0
  var place = 0
  while place + 8 <= bytes.count {
    let word = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
    all |= word
    // Not 0 if one of the bytes is (or if one is not ASCII).
    all |= (word &- 0x0101_0101_0101_0101) & 0x8080_8080_8080_8080
    place += 8
  }
  while place < bytes.count {
    all |= bytes[place] == 0 ? 0x80 : UInt64(bytes[place])
    place += 1
  }
  return all & 0x8080_8080_8080_8080 == 0
}

/// A key in a message for people.
func shown(_ key: UnsafeRawBufferPointer) -> String {
  "\"\(String(decoding: key, as: UTF8.self))\""
}
