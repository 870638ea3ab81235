// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork

/// The callbacks of nghttp2, called while it reads and writes. They may submit frames, but must neither receive bytes
/// nor take output.
extension GRPCConnection {
  func headersBegan(_ id: Int32, isRequest: Bool) {
    headersStream = nil
    // A request's trailers have no meaning for a call.
    guard isRequest else { return trailerProblem = nil }
    guard openStreamCount < loop.limits.openStreams else { return session.reset(id, .refusedStream) }
    headersStream = add(id)
  }

  func onHeader(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    guard let headersStream else {
      trailerProblem = trailerProblem ?? HTTP2RequestRules.problemOfTrailer(name, value)
      return
    }
    headersStream.head.add(name, value, loop.router, identities, loop.limits)
  }

  func headersCame(_ id: Int32, isRequest: Bool, endsRequest: Bool) {
    headersStream = nil
    guard let stream = stream(id) else { return }
    guard !stream.isRefused else { return }
    if isRequest {
      stream.head.rules.checkComplete()
      if let problem = stream.head.rules.problem { return refuse(stream, problem) }
      open(stream)
    } else if let problem = trailerProblem
      ?? (endsRequest ? nil : "headers after the body that do not end the request")
    {
      return refuse(stream, problem)
    }
    if endsRequest { requestEnded(stream) }
  }

  /// Resets a stream whose request violates the rules of HTTP. A gRPC status instead could be taken for the reply to
  /// another request.
  func refuse(_ stream: GRPCStream, _ problem: HTTP2RequestRules.Problem) {
    guard !stream.isRefused else { return }
    stream.isRefused = true
    loop.counters.add(.malformedRequests)
    loop.report("grpc_malformed_request", "\(problem)", peer: connection.peer)
    stream.reset(.protocolError)
  }

  func dataCame(_ id: Int32, _ bytes: UnsafeRawBufferPointer) {
    guard let stream = stream(id), !stream.isRefused else { return }
    stream.head.rules.received(bytes.count)
    if let problem = stream.head.rules.problem { return refuse(stream, problem) }
    take(bytes, stream)
  }

  func requestEnded(_ id: Int32) {
    guard let stream = stream(id) else { return }
    requestEnded(stream)
  }

  func streamClosed(_ id: Int32) {
    guard let stream = stream(id) else { return }
    remove(stream)
  }

  func pingCame(_ payload: UInt64, isAnswer: Bool) {
    if isAnswer {
      if payload == Self.drainPayload { goAway() }
    } else if keepalive.pinged(now) {
      session.submitGoAway(.enhanceYourCalm, "too_many_pings")
    }
  }

  func replyPart(_ id: Int32, limit: Int) -> GRPCStream.Part {
    // nghttp2 calls this for streams that it still has, and these are the streams that can be found.
    stream(id)?.nextPart(limit: limit) ?? .noneYet
  }

  /// Called when a HEADERS or DATA frame of a reply has been written.
  func replySent(_ id: Int32, byteCount: Int, isEnd: Bool) {
    keepalive.replied()
    // A client that opens its window by one byte at a time earns no credit.
    if isEnd || byteCount >= 1024 || stream(id)?.hasPendingReply == false { floodGuard.earn() }
    // The rest of the request is discarded.
    if isEnd, !session.hasRequestEnded(id) { stream(id)?.replyEnded() }
  }

  func resetSent(_ code: UInt32) {
    if code == HTTP2Session.ErrorCode.refusedStream.rawValue {
      connection.recordRejection(.callsPerConnection, "The connection has \(loop.limits.openStreams) open calls")
    }
    if code != HTTP2Session.ErrorCode.none.rawValue { floodGuard.spend(FloodGuard.costOfReset) }
  }
}
