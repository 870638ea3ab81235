internal import CConfigLookupProto
internal import ProtobufMessages

// What the values here have in common: how they are read from the messages of C, which are lent.

extension ProtobufCBinaryData {
  /// A server checks what it sends; what is no UTF-8 all the same is replaced.
  var string: String { repairedText }
}

/// A repeated field of strings.
func strings(_ count: Int, _ texts: UnsafeMutablePointer<ProtobufCBinaryData>?) -> [String] {
  guard let texts else { return [] }
  return (0..<count).map { texts[$0].string }
}

/// A repeated field of messages.
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
