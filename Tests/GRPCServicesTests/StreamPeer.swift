// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

/// The peer of a stream, whose speed the test controls.
final class StreamPeer: RPCStreamWriter {
  private(set) var messages: [WireMessage] = []
  private(set) var finish: RPCStatus?
  /// Number of messages that the peer accepts.
  var room = Int.max
  /// Called after each message, during the send.
  var onSend: (() -> Void)?

  var isWritable: Bool { room > 0 && finish == nil }

  func send(_ reply: borrowing RPCReply) {
    #expect(finish == nil, "a message after the end")
    if room != .max { room -= 1 }
    do {
      messages.append(try WireMessage(reply.head + reply.body))
    } catch {
      Issue.record(error, "a message that cannot be read")
    }
    onSend?()
  }

  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {
    #expect(finish == nil, "ended twice")
    finish = status
  }

  /// Returns the messages that have been received since the last call.
  func take() -> [WireMessage] {
    defer { messages = [] }
    return messages
  }
}
