internal import Core
internal import Network
internal import RPC

/// One call, from its headers to the last byte of its reply. Loop thread only.
///
/// Connection, stream and handler hold each other while the call is open; ``close()`` lets go. A stream whose writer
/// no handler has seen may be used again for another call.
final class GRPCStream: RPCStreamWriter, RPCReplyWriter {
  enum Phase {
    /// The request comes.
    case request
    /// A handler has the call.
    case open
    /// The call has its status; what is left of the reply goes out.
    case ended
  }

  private(set) var id: Int32 = 0
  /// Its place in the connection's table.
  private(set) var place = 0
  private(set) var phase = Phase.request
  private(set) var connection: GRPCConnection?
  private(set) var began = MonotonicTime(nanoseconds: 0)
  /// When it began; once the reply waits for the client's window, when that last took something.
  private(set) var lastProgress = MonotonicTime(nanoseconds: 0)

  // The request
  var head = GRPCRequestHead()
  var decoder = GRPCMessageDecoder()
  /// Where the one message is, of a call that has but one.
  var message: Range<Int>?
  var hasRequestEnded = false
  /// Of its bytes the connection knows.
  private var countedRequestBytes = 0
  /// It broke a rule of HTTP and is being reset.
  var isRefused = false
  /// The reply has ended and the request has not: what comes of it is dropped.
  private(set) var isDropping = false
  private var droppedBytes = 0

  // The call
  private var handler: (any RPCStreamHandler)?
  private var requestHandler: (any RPCRequestStreamHandler)?
  private var timer: (any RPCTimer)?
  /// The processor time that it took to begin the call, in nanoseconds.
  var openingWork: UInt64 = 0
  /// A handler may still hold this as its writer.
  private(set) var isShared = false
  /// The transport has ended it.
  private var hasFailed = false

  // The reply
  /// What a unary handler fills. Its storage is used again.
  var reply = RPCReply()
  private var queue = ReplyQueue()
  private var hasSentHeaders = false
  private enum Trailers {
    case none
    /// Of a call that went well, and has nothing else to say.
    case ok
    case list(HTTP2HeaderList)
  }

  /// What comes behind the last message.
  private var trailers = Trailers.none
  /// The bytes that nghttp2 has been promised and has not asked for yet.
  private var promised = 0
  /// nghttp2 has been told that there are no bytes, and must be told that there are.
  private var isDeferred = false
  /// The handler found the client slow, and is to be told when it is not.
  private var isWaiting = false
  /// It is in the line of those to be told next.
  private var isInLine = false
  private(set) var isUnary = false

  /// Begins a call. The stream is new, or was ``recycle()``d.
  func begin(_ id: Int32, place: Int, on connection: GRPCConnection, now: MonotonicTime) {
    self.id = id
    self.place = place
    self.connection = connection
    began = now
    lastProgress = now
  }

  /// Whether replies wait that the client's window does not take.
  var hasPendingReply: Bool { !queue.isEmpty }
  var ownByteCount: Int { queue.ownByteCount }

  // MARK: The call

  /// A handler has taken the call, unless it has ended it already.
  func open(_ handler: any RPCStreamHandler, deadline: MonotonicTime?) {
    guard phase == .request, let connection else {
      // It failed before there was a handler to be told.
      if hasFailed { handler.cancelled() }
      return
    }
    phase = .open
    connection.callOpened(self)
    self.handler = handler
    requestHandler = handler as? any RPCRequestStreamHandler
    guard let deadline else { return }
    timer = connection.worker.schedule(afterSeconds: deadline.seconds(since: .now)) { [weak self] in
      self?.expire()
    }
  }

  /// A handler is about to get this as its writer.
  func share() {
    isShared = true
  }

  /// Sends the reply's headers before there is a reply: the client sees that the call has been taken.
  func sendHeaders() {
    guard !hasSentHeaders, phase != .ended, let connection else { return }
    hasSentHeaders = true
    connection.session.submitReply(id, HTTP2Header.reply)
    connection.askToSend()
  }

  /// Hands on the messages that have come for a call whose requests are a stream.
  func deliverRequests(limit: Int) throws(RPCStatus) {
    while phase == .open, let handler = requestHandler, let place = try decoder.next(limit: limit) {
      // A copy: the handler may end the call, and its bytes with it.
      let message = decoder.withMessage(place) { Array($0) }
      message.withUnsafeBytes { handler.received($0) }
    }
    decoder.dropRead()
    guard phase == .open, hasRequestEnded, let handler = requestHandler else { return }
    if decoder.hasRest { throw RPCStatus(.internalError, "the request ends in the middle of a message") }
    requestHandler = nil
    handler.requestsEnded()
  }

  /// Tells the connection how many bytes of the request are held.
  func countRequest() {
    guard let connection else { return }
    let count = decoder.byteCount + head.metadataBytes
    connection.requestBytes += count - countedRequestBytes
    countedRequestBytes = count
  }

  func draining() {
    handler?.draining()
  }

  /// Ends the call for its handler: nobody waits any more. The caller counts it.
  func cancel() {
    let handler = handler
    close()
    handler?.cancelled()
  }

  private func expire() {
    timer = nil
    fail(RPCStatus(.deadlineExceeded, "the call's grpc-timeout has passed"))
  }

  /// Ends the call with an error of the transport, ahead of what waits to be sent.
  func fail(_ status: RPCStatus) {
    guard phase != .ended, let connection else { return }
    hasFailed = true
    let handler = handler
    if queue.isWithinMessage || promised > 0 {
      // Trailers behind half a message would say less than a reset.
      end(status.code)
      reset(.cancel)
    } else {
      connection.ownReplyBytes -= queue.ownByteCount
      queue.removeAll()
      finish(status, RPCMetadata())
    }
    // Last: it may write, which is too late then, and harmless.
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
      // Full is the connection, not the stream.
      getInLine()
    } else if queue.isEmpty, !isInLine {
      // Full of what the other streams hold.
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
      return fail(RPCStatus(.resourceExhausted, "the client reads the replies too slowly"))
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

  /// ``finish(with:)`` of the stream's own `reply`.
  func finishWithOwnReply() {
    isUnary = true
    enqueue(reply.head, reply.body)
    sendHeaders()
    finish(.ok, reply.metadata)
  }

  /// Ends the call with a status, behind the replies that wait.
  func finish(_ status: RPCStatus, _ metadata: RPCMetadata) {
    guard phase != .ended, let connection else { return }
    end(status.code)
    if hasSentHeaders {
      trailers = status.code == .ok && metadata.isEmpty ? .ok : .list(GRPCTrailers.list(status, metadata))
      if queue.isEmpty {
        // Not as the end of the bytes: nghttp2 asks for none while the client's window is shut.
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

  /// Answers by HTTP what was no gRPC.
  func answer(_ stranger: GRPCRequestHead.Stranger) {
    guard phase == .request, let connection else { return }
    phase = .ended
    hasSentHeaders = true
    let headers = stranger == .method ? HTTP2Header.methodNotAllowed : HTTP2Header.unsupportedMediaType
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

  /// What goes into the next DATA frame, of at most `limit` bytes.
  enum Part {
    case bytes(Int)
    case bytesBeforeTrailers(Int)
    /// Of an answer by HTTP, which has no trailers.
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

  /// Tells the handler that the client takes more again.
  func becameWritable() {
    isInLine = false
    isWaiting = false
    handler?.writable()
  }

  // MARK: The end

  /// The reply has ended before the request. A proxy may still be sending that, and pass on the reply only then: so a
  /// bounded rest of the request is read before the stream is reset.
  func replyEnded() {
    isDropping = true
    if let connection { lastProgress = connection.now }
    drop(0)
  }

  /// Resets the stream, whose request has not ended in time.
  func giveUpRequest() {
    isDropping = false
    reset(.none)
  }

  /// Bytes of a request came that is of no use any more.
  func drop(_ count: Int) {
    droppedBytes += count
    guard isDropping, let connection, droppedBytes > connection.loop.limits.droppedRequestBytes else { return }
    giveUpRequest()
  }

  private func end(_ code: RPCStatus.Code) {
    connection?.callEnded(self, code)
    phase = .ended
    letGo()
  }

  private func letGo() {
    timer?.cancel()
    timer = nil
    handler = nil
    requestHandler = nil
  }

  /// The stream is gone: nothing can be sent on it any more.
  func close() {
    phase = .ended
    connection?.ownReplyBytes -= queue.ownByteCount
    connection?.requestBytes -= countedRequestBytes
    countedRequestBytes = 0
    queue.removeAll()
    letGo()
    connection = nil
  }

  /// Makes the closed stream ready for another call; it keeps its storage.
  func recycle() {
    precondition(connection == nil && !isShared)
    phase = .request
    head.reset()
    decoder.reset(keepingCapacity: Limits.keptStreamBytes)
    message = nil
    hasRequestEnded = false
    hasFailed = false
    if reply.head.capacity <= Limits.keptStreamBytes { reply.reset() } else { reply = RPCReply() }
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
