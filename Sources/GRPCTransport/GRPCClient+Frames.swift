// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

/// The callbacks of nghttp2, called while it reads and writes. They may submit frames, but must neither receive bytes
/// nor take output.
extension GRPCClient {
  func requestPart(_ id: Int32, into room: UnsafeMutableRawBufferPointer) -> (count: Int, isEnd: Bool) {
    calls[id]?.requestPart(into: room) ?? (0, true)
  }

  func onHeader(_ id: Int32, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    calls[id]?.head.add(name, value)
  }

  func dataCame(_ id: Int32, _ bytes: UnsafeRawBufferPointer) {
    guard let call = calls[id], !call.take(bytes) else { return }
    reset(id)
    count(id, call)
  }

  func replyEnded(_ id: Int32) {
    guard let call = calls[id] else { return }
    call.end()
    count(id, call)
  }

  func streamClosed(_ id: Int32, _ code: UInt32) {
    guard let call = calls[id], !call.hasEnded else { return }
    call.end(GRPCReplyHead.status(ofReset: code))
    count(id, call)
  }

  func pongCame(_ payload: UInt64) {
    pongs.insert(payload)
  }

  /// Records the reason of a GOAWAY. If the server sends two, the first may have no reason; the second one then has it.
  func goAwayCame(_ code: UInt32, _ reason: UnsafeRawBufferPointer) {
    if !reason.isEmpty {
      goAwayReason = String(decoding: reason, as: UTF8.self)
    } else if goAwayReason == nil {
      goAwayReason = HTTP2Session.ErrorCode.name(code)
    }
  }

  private func count(_ id: Int32, _ call: GRPCClientCall) {
    guard call.isCounted, let reply = call.nextReply() else { return }
    calls[id] = nil
    endedCount += 1
    if reply.status.code != .ok { failedCount += 1 }
  }
}
