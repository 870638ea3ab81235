internal import CConfigLookupProto
internal import ProtobufMessages

/// The only field of a request, where that is short, and a string: nearly every lookup is its key and nothing else.
///
/// It is read where it lies, for a tenth of what protobuf-c needs to unpack it; whatever looks otherwise is for
/// protobuf-c to read or to refuse.
struct SoleField {
  let number: UInt8
  let text: ProtobufCBinaryData

  init?(_ message: UnsafeRawBufferPointer) {
    // A tag and a length of one byte each.
    guard message.count >= 2, message.count < 0x82, message[0] < 0x80, message[0] & 7 == 2,
      Int(message[1]) == message.count - 2, let start = message.baseAddress
    else { return nil }
    number = message[0] >> 3
    let bytes = UnsafeMutableRawPointer(mutating: start + 2).assumingMemoryBound(to: UInt8.self)
    text = ProtobufCBinaryData(len: message.count - 2, data: bytes)
  }
}
