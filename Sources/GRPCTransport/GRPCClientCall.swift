internal import RPC

/// One call of a client, from its request to the last of its replies.
final class GRPCClientCall {
  /// The message, behind its prefix.
  private let request: [UInt8]
  private var sent = 0
  private let isStream: Bool
  /// Of no use to anybody but as a count.
  let isCounted: Bool

  var head = GRPCReplyHead()
  private var decoder = GRPCMessageDecoder()
  /// The one reply of a unary call.
  private var message: [UInt8]?
  /// Those that nobody has asked for yet.
  private var replies: [RPCClientReply] = []
  private(set) var hasEnded = false

  init(_ call: RPCOutgoingCall, isCounted: Bool) {
    request = GRPCMessageDecoder.prefix(call.request.count) + call.request
    isStream = call.isStream
    self.isCounted = isCounted
  }

  /// The next bytes of the request, and whether they are the last.
  func requestPart(into room: UnsafeMutableRawBufferPointer) -> (count: Int, isEnd: Bool) {
    let count = min(room.count, request.count - sent)
    request.withUnsafeBytes { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[sent..<(sent + count)])) }
    sent += count
    return (count, sent == request.count)
  }

  /// Takes bytes of the reply. False: the call has ended by them, and its stream is of no use any more.
  func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard !hasEnded, head.isGRPC else { return true }
    decoder.append(bytes)
    do throws(RPCStatus) {
      while let place = try decoder.next(limit: Limits.replyBytes) { try keep(place) }
    } catch {
      end(error)
      return false
    }
    decoder.dropRead()
    return true
  }

  private func keep(_ place: Range<Int>) throws(RPCStatus) {
    let payload = isCounted ? [] : decoder.withMessage(place) { Array($0) }
    if isStream { return replies.append(RPCClientReply(status: .ok, more: true, payload: payload)) }
    guard message == nil else { throw RPCStatus(.internalError, "a unary call received more than one reply") }
    message = payload
  }

  /// The reply has come to its end.
  func end() {
    let status = head.status
    if status.code == .ok, decoder.hasRest {
      end(RPCStatus(.internalError, "the reply ends in the middle of a message"))
    } else if status.code == .ok, !isStream, message == nil {
      end(RPCStatus(.internalError, "a unary call received no reply"))
    } else {
      end(status)
    }
  }

  /// Ends the call, unless it has ended already.
  func end(_ status: RPCStatus) {
    guard !hasEnded else { return }
    hasEnded = true
    let payload = status.code == .ok ? message ?? [] : []
    replies.append(RPCClientReply(status: status, payload: payload, metadata: head.metadata))
  }

  func nextReply() -> RPCClientReply? {
    replies.isEmpty ? nil : replies.removeFirst()
  }
}
