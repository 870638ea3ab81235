public import RPC

/// What a server can send.
public enum FramedEvent: Sendable, Hashable {
  case reply(callID: UInt32, RPCClientReply)
  case pong(nonce: UInt64)
  case goAway(reason: String)
}

extension RPCClientReply {
  /// Copies; what is not as it should be (a status that has no name, a key that is none) is made harmless.
  init(_ reply: DecodedReply) {
    self.init(
      status: RPCStatus(
        RPCStatus.Code(rawValue: reply.status) ?? .unknown, String(decoding: reply.message, as: UTF8.self)),
      more: reply.more, payload: Array(reply.payload),
      metadata: (try? reply.metadata.values()) ?? RPCMetadata())
  }
}
