internal import Core
internal import Network

/// What nghttp2 reports while it reads and writes. It may be given things to send from here, and nothing else.
extension GRPCConnection {
  func headersBegan(_ id: Int32, isRequest: Bool) {
    // A request's trailers mean nothing to a call.
    headersStream = nil
    guard isRequest else { return }
    guard openStreamCount < loop.limits.openStreams else { return session.reset(id, .refusedStream) }
    headersStream = add(id)
  }

  func headerCame(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    headersStream?.head.add(name, value, loop.router, identities, loop.limits)
  }

  func headersCame(_ id: Int32, isRequest: Bool, endsRequest: Bool) {
    headersStream = nil
    guard let stream = stream(id) else { return }
    if isRequest { open(stream) }
    if endsRequest { requestEnded(stream) }
  }

  func dataCame(_ id: Int32, _ bytes: UnsafeRawBufferPointer) {
    guard let stream = stream(id) else { return }
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
    // Streams are looked up as long as nghttp2 has them; then it does not ask.
    stream(id)?.nextPart(limit: limit) ?? .noneYet
  }

  /// A HEADERS or DATA frame was written.
  func replySent(_ id: Int32, byteCount: Int, isEnd: Bool) {
    keepalive.replied()
    // Windows that are opened by a byte at a time earn nothing.
    if isEnd || byteCount >= 1024 || stream(id)?.hasPendingReply == false { floodGuard.earn() }
    // What still comes of the request would be of no use.
    if isEnd, !session.hasRequestEnded(id) { session.reset(id, .none) }
  }

  func resetSent(_ code: UInt32) {
    if code == HTTP2Session.ErrorCode.refusedStream.rawValue {
      connection.reached(.callsPerConnection, "\(loop.limits.openStreams) calls are open on the connection")
    }
    if code != HTTP2Session.ErrorCode.none.rawValue { floodGuard.spend(FloodGuard.costOfReset) }
  }
}
