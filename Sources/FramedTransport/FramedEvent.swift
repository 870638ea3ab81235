// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupRPC

/// A frame that a server sends to a client.
public enum FramedEvent: Sendable, Hashable {
  /// A reply to a call.
  case reply(callID: UInt32, RPCClientReply)
  /// The reply to a ping.
  case pong(nonce: UInt64)
  /// The announcement that the server accepts no new calls.
  case goAway(reason: String)
}

extension RPCClientReply {
  /// Copies a decoded reply. Invalid parts are replaced by harmless values: an unknown status code becomes UNKNOWN, and
  /// invalid metadata become empty.
  init(_ reply: DecodedReply) {
    self.init(
      status: RPCStatus(
        clientSide: RPCStatus.Code(rawValue: reply.status) ?? .unknown,
        String(decoding: reply.message, as: UTF8.self), reply.status == 0 ? nil : reply.details),
      more: reply.more, payload: Array(reply.payload),
      metadata: (try? reply.metadata.values()) ?? RPCMetadata())
  }
}
