internal import RPC
internal import TestSupport
internal import Testing

/// The peer of a stream, as slow as the test wants it.
final class StreamPeer: RPCStreamWriter {
  private(set) var messages: [WireMessage] = []
  private(set) var finish: RPCStatus?
  /// How many messages the peer still takes.
  var room = Int.max
  /// Called after each message, from within the send.
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

  /// What has come since it was last asked for.
  func take() -> [WireMessage] {
    defer { messages = [] }
    return messages
  }
}
