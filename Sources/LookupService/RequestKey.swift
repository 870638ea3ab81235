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
    throw RPCStatus.invalid(field, "has \(bytes.count) bytes, more than \(limit)")
  }
  try checkText(bytes, field)
  return bytes
}

/// Throws unless `bytes` are UTF-8 without a zero byte.
func checkText(_ bytes: UnsafeRawBufferPointer, _ field: String) throws(RPCStatus) {
  // Nearly every key is plain ASCII: that is seen without decoding.
  var all: UInt8 = 0
  var hasZero = false
  for byte in bytes {
    all |= byte
    if byte == 0 { hasZero = true }
  }
  if hasZero { throw RPCStatus.invalid(field, "holds a zero byte") }
  if all >= 0x80, String(validating: bytes, as: UTF8.self) == nil {
    throw RPCStatus.invalid(field, "is not valid UTF-8")
  }
}

/// A key in a message for people.
func shown(_ key: UnsafeRawBufferPointer) -> String {
  "\"\(String(decoding: key, as: UTF8.self))\""
}
