public import RPC

/// A `Reply` as a client keeps it.
public struct FramedReply: Sendable, Hashable {
  public var status: RPCStatus
  /// Further replies to the call follow.
  public var more: Bool
  public var payload: [UInt8]
  public var metadata: RPCMetadata
}

/// What a server can send.
public enum FramedEvent: Sendable, Hashable {
  case reply(callID: UInt32, FramedReply)
  case pong(nonce: UInt64)
  case goAway(reason: String)
}

extension FramedReply {
  /// Copies; what is not as it should be (a status that has no name, a key that is none) is made harmless.
  init(_ reply: DecodedReply) {
    status = RPCStatus(
      RPCStatus.Code(rawValue: reply.status) ?? .unknown, String(decoding: reply.message, as: UTF8.self))
    more = reply.more
    payload = Array(reply.payload)
    metadata = (try? reply.metadata.values()) ?? RPCMetadata()
  }
}
