// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

/// One call of a client, from its request to its last reply.
final class GRPCClientCall {
  /// The request message with its gRPC length prefix.
  private let request: [UInt8]
  private var sent = 0
  private let isStream: Bool
  /// Whether the reply is counted and discarded.
  let isCounted: Bool

  var head = GRPCReplyHead()
  private var decoder = GRPCMessageDecoder()
  /// The only reply of a unary call.
  private var message: [UInt8]?
  /// The replies that have been received and not been requested yet.
  private var replies: [RPCClientReply] = []
  private(set) var hasEnded = false

  init(_ call: RPCOutgoingCall, isCounted: Bool) {
    request = GRPCMessageDecoder.prefix(call.request.count) + call.request
    isStream = call.isStream
    self.isCounted = isCounted
  }

  /// Copies the next bytes of the request into `room`. Returns their number, and whether they are the last.
  func requestPart(into room: UnsafeMutableRawBufferPointer) -> (count: Int, isEnd: Bool) {
    let count = min(room.count, request.count - sent)
    request.withUnsafeBytes { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[sent..<(sent + count)])) }
    sent += count
    return (count, sent == request.count)
  }

  /// Processes bytes of the reply. Returns false if they ended the call with an error, so that the stream can be reset.
  func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard !hasEnded, head.isGRPC else { return true }
    decoder.append(bytes)
    do throws(RPCStatus) {
      while let place = try decoder.next(limit: GRPCLimits.replyBytes) { try keep(place) }
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
    guard message == nil else {
      throw RPCStatus(clientSide: .internalError, "a unary call received more than one reply")
    }
    message = payload
  }

  /// Ends the call at the end of the reply.
  func end() {
    let status = head.status
    if status.code == .ok, decoder.hasRest {
      end(RPCStatus(clientSide: .internalError, "the reply ends in the middle of a message"))
    } else if status.code == .ok, !isStream, message == nil {
      end(RPCStatus(clientSide: .internalError, "a unary call received no reply"))
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
