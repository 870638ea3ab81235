// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

extension GRPCConnection {
  /// Processes the complete headers of a call. The call ends at once if the headers are invalid; it starts at once if
  /// its requests are a stream.
  func open(_ stream: GRPCStream) {
    stream.countRequest()
    // A request that is not gRPC is answered when it is complete, so that the reply does not cross the rest of the
    // request.
    guard stream.head.nonGRPCRequest == nil else { return }
    if let refusal = stream.head.refusal { return stream.finish(refusal, RPCMetadata()) }
    guard case .bidirectionalStreaming(let begin) = stream.head.method?.handler else { return }
    call(stream, UnsafeRawBufferPointer(start: nil, count: 0)) { request throws(RPCStatus) in
      try requireRoom(for: stream)
      stream.share()
      begun(
        stream, try timed(stream) { () throws(RPCStatus) in try begin(request, stream) }, deadline: request.deadline)
    }
  }

  /// Checks that another call of the method may be opened on this connection.
  ///
  /// - Throws: RESOURCE_EXHAUSTED if a limit is reached.
  private func requireRoom(for stream: GRPCStream) throws(RPCStatus) {
    try connection.requireRoom()
    guard let limit = stream.head.method?.openCallLimit, openCalls[limit.name, default: 0] >= limit.count else {
      return
    }
    let message = "\(limit.count) calls of this method are open on this connection; end one"
    connection.recordRejection(limit.name, message)
    throw RPCStatus(
      limit.reason, message, metadata: ["limit": limit.name.rawValue, "maximum": "\(limit.count)"])
  }

  /// Measures the CPU time that opening a call takes.
  private func timed(
    _ stream: GRPCStream, _ begin: () throws(RPCStatus) -> any RPCStreamHandler
  ) throws(RPCStatus) -> any RPCStreamHandler {
    let before = ProcessorTime.ofThisThread
    let handler = try begin()
    stream.openingWork = ProcessorTime.ofThisThread &- before
    return handler
  }

  /// Processes bytes of a request.
  func take(_ bytes: UnsafeRawBufferPointer, _ stream: GRPCStream) {
    guard stream.phase != .ended else { return stream.drop(bytes.count) }
    guard stream.head.nonGRPCRequest == nil else { return }
    stream.decoder.append(bytes)
    defer { stream.countRequest() }
    do throws(RPCStatus) {
      if stream.phase == .open { return try stream.deliverRequests(limit: loop.limits.requestBytes) }
      while let place = try stream.decoder.next(limit: loop.limits.requestBytes) {
        guard stream.message == nil else {
          throw RPCStatus(.unsupportedCallType, "the method takes one request, and more than one was received")
        }
        stream.message = place
      }
    } catch {
      if error.code == .resourceExhausted { connection.recordRejection(.requestBytes, error.message) }
      stream.fail(error)
    }
  }

  func requestEnded(_ stream: GRPCStream) {
    guard !stream.hasRequestEnded, !stream.isRefused else { return }
    stream.head.rules.ended()
    if let problem = stream.head.rules.problem { return refuse(stream, problem) }
    stream.hasRequestEnded = true
    switch stream.phase {
    case .request:
      if let nonGRPCRequest = stream.head.nonGRPCRequest {
        loop.counters.add(.notGRPC)
        stream.answer(nonGRPCRequest)
      } else {
        answer(stream)
      }
    case .open:
      do throws(RPCStatus) {
        try stream.deliverRequests(limit: loop.limits.requestBytes)
      } catch {
        stream.fail(error)
      }
    case .ended: break
    }
  }

  /// Answers a unary call, or opens a stream of replies.
  private func answer(_ stream: GRPCStream) {
    guard !stream.decoder.hasRest else {
      return stream.fail(RPCStatus(.malformedFraming, "the request ends in the middle of a message"))
    }
    guard let message = stream.message, let method = stream.head.method else {
      return stream.fail(RPCStatus(.unsupportedCallType, "the method takes one request, and none was received"))
    }
    guard ownReplyBytes <= loop.limits.ownReplyBytes else {
      return stream.fail(
        RPCStatus(
          .repliesNotRead, "\(ownReplyBytes) bytes of replies are buffered on this connection: read them first",
          retryDelay: .seconds(1)))
    }
    stream.decoder.withMessage(message) { bytes in
      switch method.handler {
      case .unary(let handle):
        call(stream, bytes) { request throws(RPCStatus) in
          if let wait = try handle(request, &stream.reply) {
            try self.wait(wait, stream, request, handle)
          } else {
            stream.finishWithOwnReply()
          }
        }
      case .serverStreaming(let begin):
        call(stream, bytes) { request throws(RPCStatus) in
          try requireRoom(for: stream)
          stream.share()
          begun(
            stream, try timed(stream) { () throws(RPCStatus) in try begin(request, stream, &stream.reply) },
            deadline: request.deadline)
        }
      case .bidirectionalStreaming: break
      }
    }
    stream.releaseRequest()
  }

  /// Opens a unary call that has to wait. It is an open call like a stream, with one reply.
  private func wait(
    _ wait: RPCWait, _ stream: GRPCStream, _ request: borrowing RPCRequest, _ handle: @escaping RPCWaitingCall.Handler
  ) throws(RPCStatus) {
    try connection.requireRoom()
    stream.share()
    let call = RPCWaitingCall(request, stream, handle)
    stream.open(call, deadline: request.deadline)
    call.wait(wait)
  }

  private func begun(_ stream: GRPCStream, _ handler: any RPCStreamHandler, deadline: MonotonicTime?) {
    stream.open(handler, deadline: deadline)
    stream.sendHeaders()
    if state != .open { stream.draining() }
  }

  private func call(
    _ stream: GRPCStream, _ message: UnsafeRawBufferPointer,
    _ body: (borrowing RPCRequest) throws(RPCStatus) -> Void
  ) {
    let deadline = stream.head.timeoutNanoseconds.map {
      MonotonicTime(nanoseconds: stream.lastProgress.nanoseconds.addingReportingOverflow($0).partialValue)
    }
    if let deadline, deadline <= now {
      return stream.fail(RPCStatus(.deadlineExceeded, "the call's grpc-timeout has passed"))
    }
    do throws(RPCStatus) {
      try body(
        RPCRequest(
          message: message, metadata: stream.head.metadata, deadline: deadline, worker: worker,
          identity: stream.head.identity ?? identities?[nil]))
    } catch {
      // The stream handles this, because the handler may have finished it before it threw.
      stream.finish(error, stream.reply.metadata)
    }
  }
}
