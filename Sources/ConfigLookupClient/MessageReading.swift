// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ProtobufMessages

// Functions that read Swift values from unpacked C messages. The messages are valid only during the call.

extension ProtobufCBinaryData {
  /// The text of the field. Servers send UTF-8 only; invalid bytes are replaced all the same.
  var string: String { repairedText }
}

/// Reads a repeated field of strings.
func strings(_ count: Int, _ texts: UnsafeMutablePointer<ProtobufCBinaryData>?) -> [String] {
  guard let texts else { return [] }
  return (0..<count).map { texts[$0].string }
}

/// Reads a repeated field of messages.
func messages<Message, Value>(
  _ count: Int, _ list: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?, _ read: (Message) -> Value
) -> [Value] {
  guard let list else { return [] }
  return (0..<count).compactMap { list[$0].map { read($0.pointee) } }
}

extension Timestamp {
  init?(_ message: UnsafeMutablePointer<Google__Protobuf__Timestamp>?) {
    guard let message = message?.pointee else { return nil }
    self.init(milliseconds: message.seconds * 1000 + Int64(message.nanos) / 1_000_000)
  }
}
