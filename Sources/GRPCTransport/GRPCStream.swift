// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

/// One call, from its headers to the last byte of its reply. It is used on its event loop's thread only.
///
/// Connection, stream and handler reference each other while the call is open; ``close()`` breaks the cycle. A stream
/// that has not been passed to a handler as its writer may be reused for another call.
final class GRPCStream: RPCStreamWriter, RPCReplyWriter {
  enum Phase {
    /// The request is being received.
    case request
    /// A handler has accepted the call.
    case open
    /// The call has its status; the rest of the reply is being sent.
    case ended
  }

  private(set) var id: Int32 = 0
  /// The index of the stream in the connection's table.
  private(set) var place = 0
  private(set) var phase = Phase.request
  private(set) var connection: GRPCConnection?
  private(set) var began = MonotonicTime(nanoseconds: 0)
  /// The time at which the call began or, while the reply waits for the client's window, at which the window last
  /// accepted bytes.
  private(set) var lastProgress = MonotonicTime(nanoseconds: 0)

  // The request
  var head = GRPCRequestHead()
  var decoder = GRPCMessageDecoder()
  /// The range of the message, if the call has only one.
  var message: Range<Int>?
  var hasRequestEnded = false
  /// Number of bytes of the request that the connection has counted.
  private var countedRequestBytes = 0
  /// Whether the request violated a rule of HTTP and the stream is being reset.
  var isRefused = false
  /// Whether the reply has ended before the request, so that the rest of the request is discarded.
  private(set) var isDropping = false
  private var droppedBytes = 0

  // The call
  private var handler: (any RPCStreamHandler)?
  private var requestHandler: (any RPCRequestStreamHandler)?
  private var timer: (any RPCTimer)?
  /// The CPU time that opening the call took, in nanoseconds.
  var openingWork: UInt64 = 0
  /// Whether a handler may still hold this stream as its writer.
  private(set) var isShared = false
  /// Whether the transport has ended the call with an error.
  private var hasFailed = false

  // The reply
  /// The reply that a unary handler fills. Its storage is reused.
  var reply = RPCReply()
  private var queue = ReplyQueue()
  private var hasSentHeaders = false
  private enum Trailers {
    case none
    /// The trailers of a successful call without metadata.
    case ok
    case list(HTTP2HeaderList)
  }

  /// The trailers to be sent after the last message.
  private var trailers = Trailers.none
  /// Number of bytes that `nextPart` has announced to nghttp2 and that have not been written yet.
  private var promised = 0
  /// Whether nghttp2 has deferred the stream because there were no bytes, so that it must be resumed when there are.
  private var isDeferred = false
  /// Whether the handler found the stream not writable, and must be notified when it is writable again.
  private var isWaiting = false
  /// Whether the stream is in the queue of those to be notified.
  private var isInLine = false
  private(set) var isUnary = false

  /// Starts a call. The stream must be new or reset by ``recycle()``.
  func begin(_ id: Int32, place: Int, on connection: GRPCConnection, now: MonotonicTime) {
    self.id = id
    self.place = place
    self.connection = connection
    began = now
    lastProgress = now
  }

  /// Whether replies are buffered that the client's window does not accept.
  var hasPendingReply: Bool { !queue.isEmpty }
  var ownByteCount: Int { queue.ownByteCount }

  // MARK: The call

  /// Starts the handler's call, unless the call has already ended.
  func open(_ handler: any RPCStreamHandler, deadline: MonotonicTime?) {
    guard phase == .request, let connection else {
      // The call failed before there was a handler to notify.
      if hasFailed { handler.cancelled() }
      return
    }
    phase = .open
    connection.callOpened(self)
    self.handler = handler
    requestHandler = handler as? any RPCRequestStreamHandler
    guard let deadline else { return }
    timer = connection.worker.schedule(after: deadline.duration(since: .now)) { [weak self] in
      self?.expire()
    }
  }

  /// Marks that a handler receives this stream as its writer.
  func share() {
    isShared = true
  }

  /// Sends the reply's headers before there is a reply, so that the client can see that the call has been accepted.
  func sendHeaders() {
    guard !hasSentHeaders, phase != .ended, let connection else { return }
    hasSentHeaders = true
    connection.session.submitReply(id, HTTP2Header.reply)
    connection.askToSend()
  }

  /// Releases the request's bytes once the handler has read them, if the call stays open: a watch may last for days.
  func releaseRequest() {
    guard phase == .open else { return }
    decoder.reset(keepingCapacity: 0)
    message = nil
    countRequest()
  }

  /// Passes on the received messages of a call whose requests are a stream.
  func deliverRequests(limit: Int) throws(RPCStatus) {
    while phase == .open, let handler = requestHandler, let place = try decoder.next(limit: limit) {
      // The message is copied, because the handler may end the call, and release the bytes with it.
      let message = decoder.withMessage(place) { Array($0) }
      message.withUnsafeBytes { handler.received($0) }
    }
    decoder.dropRead()
    guard phase == .open, hasRequestEnded, let handler = requestHandler else { return }
    if decoder.hasRest { throw RPCStatus(.malformedFraming, "the request ends in the middle of a message") }
    requestHandler = nil
    handler.requestsEnded()
  }

  /// Updates the connection's count of the request bytes that are held.
  func countRequest() {
    guard let connection else { return }
    let count = decoder.byteCount + head.metadataBytes
    connection.requestBytes += count - countedRequestBytes
    countedRequestBytes = count
  }

  func draining() {
    handler?.draining()
  }

  /// Ends the call and notifies the handler of the cancellation. The caller of this function counts the call.
  func cancel() {
    let handler = handler
    close()
    handler?.cancelled()
  }

  private func expire() {
    timer = nil
    fail(RPCStatus(.deadlineExceeded, "the call's grpc-timeout has passed"))
  }

  /// Ends the call with an error of the transport, without sending the replies that are buffered.
  func fail(_ status: RPCStatus) {
    guard phase != .ended, let connection else { return }
    hasFailed = true
    let handler = handler
    if queue.isWithinMessage || promised > 0 {
      // A reset is clearer than trailers after an incomplete message.
      end(status.code)
      reset(.cancel)
    } else {
      connection.ownReplyBytes -= queue.ownByteCount
      queue.removeAll()
      finish(status, RPCMetadata())
    }
    // The handler is notified last. If it still writes something, that is ignored.
    handler?.cancelled()
  }

  func reset(_ code: HTTP2Session.ErrorCode) {
    connection?.session.reset(id, code)
    connection?.askToSend()
  }

  // MARK: The reply

  var isWritable: Bool {
    guard phase != .ended, let connection else { return false }
    let limits = connection.loop.limits
    let ownLimit = queue.isEmpty ? limits.ownReplyBytes : limits.ownStreamBytesHigh
    if queue.byteCount < limits.streamBytesHigh, connection.ownReplyBytes < ownLimit {
      if connection.isWritable { return true }
      // The connection is full, not the stream.
      getInLine()
    } else if queue.isEmpty, !isInLine {
      // The other streams of the connection hold too many bytes.
      isInLine = true
      connection.awaitLessOfOthers(self)
    }
    isWaiting = true
    return false
  }

  private func getInLine() {
    guard !isInLine else { return }
    isInLine = true
    connection?.awaitWritable(self)
  }

  func send(_ reply: borrowing RPCReply) {
    guard phase != .ended, let connection else { return }
    enqueue(reply.head, reply.body)
    guard queue.byteCount <= connection.loop.limits.streamBytesLimit else {
      return fail(RPCStatus(.repliesNotRead, "the client reads the replies too slowly"))
    }
    sendHeaders()
    resume()
  }

  func finish(with reply: borrowing RPCReply) {
    guard phase != .ended else { return }
    isUnary = true
    enqueue(reply.head, reply.body)
    sendHeaders()
    finish(.ok, reply.metadata)
  }

  /// Ends the call like ``finish(with:)``, with the stream's own `reply`.
  func finishWithOwnReply() {
    isUnary = true
    enqueue(reply.head, reply.body)
    sendHeaders()
    finish(.ok, reply.metadata)
  }

  /// Ends the call with a status, after the replies that are buffered.
  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {
    guard phase != .ended, let connection else { return }
    end(status.code)
    if hasSentHeaders {
      trailers = status.code == .ok && metadata.isEmpty ? .ok : .list(GRPCTrailers.list(status, metadata))
      if queue.isEmpty {
        // The trailers are not sent as the end of the data, because nghttp2 requests no data while the client's window
        // is closed.
        submitTrailers()
        connection.askToSend()
      } else {
        resume()
      }
    } else {
      connection.session.submitEnd(id, GRPCTrailers.only(status, metadata, head.isEncodingUnknown))
      connection.askToSend()
    }
  }

  /// Answers a request that is not gRPC by HTTP.
  func answer(_ nonGRPCRequest: GRPCRequestHead.NonGRPCRequest) {
    guard phase == .request, let connection else { return }
    phase = .ended
    hasSentHeaders = true
    let headers = nonGRPCRequest == .method ? HTTP2Header.methodNotAllowed : HTTP2Header.unsupportedMediaType
    guard !head.isHead else {
      connection.session.submitEnd(id, headers)
      return connection.askToSend()
    }
    let text: StaticString = "This port serves gRPC: use POST with content-type application/grpc\n"
    queue.append(Array(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)), [], isMessage: false)
    connection.session.submitReply(id, headers)
    connection.askToSend()
  }

  private func enqueue(_ head: [UInt8], _ body: [UInt8]) {
    let before = queue.ownByteCount
    if queue.isEmpty, let connection { lastProgress = connection.now }
    queue.append(head, body)
    connection?.ownReplyBytes += queue.ownByteCount - before
  }

  private func resume() {
    guard isDeferred, let connection else { return }
    isDeferred = false
    connection.session.resume(id)
    connection.askToSend()
  }

  /// The bytes of the next DATA frame.
  enum Part {
    case bytes(Int)
    case bytesBeforeTrailers(Int)
    /// The last bytes of an answer by HTTP, which has no trailers.
    case lastBytes(Int)
    case noneYet
  }

  func nextPart(limit: Int) -> Part {
    let count = min(limit, queue.byteCount)
    promised = count
    if phase == .ended, count == queue.byteCount {
      if case .none = trailers { return .lastBytes(count) }
      submitTrailers()
      return .bytesBeforeTrailers(count)
    }
    if count == 0 {
      isDeferred = true
      return .noneYet
    }
    return .bytes(count)
  }

  private func submitTrailers() {
    switch trailers {
    case .none: break
    case .ok: connection?.session.submitTrailers(id, HTTP2Header.okTrailers)
    case .list(let list): connection?.session.submitTrailers(id, list)
    }
  }

  func write(into room: UnsafeMutableRawBufferPointer) {
    guard let connection else { return }
    promised = 0
    let before = queue.ownByteCount
    queue.take(into: room)
    connection.ownReplyBytes -= before - queue.ownByteCount
    lastProgress = connection.now
    if isWaiting, queue.byteCount <= connection.loop.limits.streamBytesLow { getInLine() }
  }

  /// Notifies the handler that the stream is writable again.
  func becameWritable() {
    isInLine = false
    isWaiting = false
    handler?.writable()
  }

  // MARK: The end

  /// Called when the reply has ended before the request. A proxy may still be sending the request, and forward the
  /// reply only after that. Therefore a limited rest of the request is read before the stream is reset.
  func replyEnded() {
    isDropping = true
    if let connection { lastProgress = connection.now }
    drop(0)
  }

  /// Resets a stream whose request has not ended in time.
  func giveUpRequest() {
    isDropping = false
    reset(.none)
  }

  /// Discards bytes of a request that is of no use any more.
  func drop(_ count: Int) {
    droppedBytes += count
    guard isDropping, let connection, droppedBytes > connection.loop.limits.droppedRequestBytes else { return }
    giveUpRequest()
  }

  private func end(_ code: RPCStatus.Code) {
    connection?.callEnded(self, code)
    phase = .ended
    releaseHandler()
  }

  private func releaseHandler() {
    timer?.cancel()
    timer = nil
    handler = nil
    requestHandler = nil
  }

  /// Releases the call after the stream has been closed. Nothing can be sent on it any more.
  func close() {
    phase = .ended
    connection?.ownReplyBytes -= queue.ownByteCount
    connection?.requestBytes -= countedRequestBytes
    countedRequestBytes = 0
    queue.removeAll()
    releaseHandler()
    connection = nil
  }

  /// Prepares the closed stream for another call. It keeps its storage.
  func recycle() {
    precondition(connection == nil && !isShared)
    phase = .request
    head.reset()
    decoder.reset(keepingCapacity: GRPCLimits.keptStreamBytes)
    message = nil
    hasRequestEnded = false
    hasFailed = false
    if reply.head.capacity <= GRPCLimits.keptStreamBytes { reply.reset() } else { reply = RPCReply() }
    hasSentHeaders = false
    trailers = .none
    isDeferred = false
    promised = 0
    isUnary = false
    isRefused = false
    isDropping = false
    droppedBytes = 0
    openingWork = 0
  }
}
