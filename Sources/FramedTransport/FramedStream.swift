// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

/// An open call of a connection with a stream of replies, or with one reply that waits. It is used on its event loop's
/// thread only.
///
/// Connection, stream and handler reference each other while the call is open; ``close()`` breaks the cycle.
final class FramedStream: RPCStreamWriter, RPCReplyWriter {
  let callID: UInt32
  let method: RPCMethod
  let began: MonotonicTime
  /// Number of bytes of memory that the open call takes.
  let heldByteCount: Int
  private var connection: FramedConnection?
  private var handler: (any RPCStreamHandler)?
  private var timer: (any RPCTimer)?
  /// The CPU time that opening the call took, in nanoseconds.
  var openingWork: UInt64 = 0
  /// Whether the handler found the connection not writable, and the stream is in the queue of those to be notified.
  private var isWaiting = false

  init(callID: UInt32, _ method: RPCMethod, connection: FramedConnection, heldByteCount: Int) {
    self.heldByteCount = heldByteCount
    self.callID = callID
    self.method = method
    began = connection.loop.eventLoop.iterationBegan
    self.connection = connection
  }

  /// Starts the handler's call, unless the call has already ended.
  func begin(_ handler: any RPCStreamHandler, deadline: MonotonicTime?) {
    guard let connection else { return }
    self.handler = handler
    guard let deadline else { return }
    timer = connection.worker.schedule(after: deadline.duration(since: .now)) { [weak self] in
      self?.expire()
    }
  }

  var isWritable: Bool {
    guard let connection else { return false }
    if connection.isWritable { return true }
    if !isWaiting {
      isWaiting = true
      connection.awaitWritable(callID)
    }
    return false
  }

  func send(_ reply: borrowing RPCReply) {
    connection?.send(
      FrameEncoder.Reply(callID: callID, status: .ok, more: true), head: reply.head, body: reply.body,
      metadata: reply.metadata)
  }

  func finish(with reply: borrowing RPCReply) {
    guard let connection else { return }
    close()
    connection.send(
      FrameEncoder.Reply(callID: callID, status: .ok, more: false), head: reply.head, body: reply.body,
      metadata: reply.metadata)
    connection.streamEnded(self, .ok)
  }

  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {
    guard let connection else { return }
    close()
    connection.send(
      FrameEncoder.Reply(callID: callID, status: status, more: false), head: [], body: [], metadata: metadata)
    connection.streamEnded(self, status.code)
  }

  /// Notifies the handler that the connection is writable again.
  func becameWritable() {
    isWaiting = false
    handler?.writable()
  }

  func draining() {
    handler?.draining()
  }

  /// Notifies the handler that the call was cancelled.
  func cancel() {
    let handler = handler
    close()
    handler?.cancelled()
  }

  private func expire() {
    guard let connection else { return }
    timer = nil
    cancel()
    let status = RPCStatus(.deadlineExceeded, "the call's timeout_ms has passed")
    connection.send(
      FrameEncoder.Reply(callID: callID, status: status, more: false), head: [], body: [], metadata: .init())
    connection.streamEnded(self, status.code)
  }

  private func close() {
    timer?.cancel()
    timer = nil
    handler = nil
    connection = nil
  }
}
