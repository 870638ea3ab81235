// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC

extension FramedConnection {
  /// Answers a unary call at once, or opens a stream.
  func open(_ call: DecodedCall, id: UInt32) {
    let method = loop.router.method(named: call.method)
    guard state == .open else {
      return fail(
        id, method,
        RPCStatus(.draining, "the server is draining: connect again, to another server if there is one"))
    }
    loop.withReply { open(call, id: id, method, &$0) }
  }

  private func open(_ call: DecodedCall, id: UInt32, _ method: RPCMethod?, _ reply: inout RPCReply) {
    do throws(RPCStatus) {
      guard let method else { return try openUnknown(call, id: id) }
      let deadline =
        call.timeoutMilliseconds == 0
        ? nil : loop.eventLoop.iterationBegan.advanced(by: .milliseconds(call.timeoutMilliseconds))
      let (metadata, identity) = try head(of: call)
      let held = call.metadata.count > 0 ? metadata.heldByteCount : 0
      let request = RPCRequest(
        message: call.request, metadata: metadata, deadline: deadline, worker: worker, identity: identity)
      switch method.handler {
      case .unary(let handle):
        if let wait = try handle(request, &reply) {
          try openWaiting(id, method, request, handle, wait, holding: held)
        } else {
          send(
            FrameEncoder.Reply(callID: id, status: .ok, more: false), head: reply.head, body: reply.body,
            metadata: reply.metadata)
          loop.calls.ended(method, .ok)
        }
      case .serverStreaming(let begin):
        try openStream(id, method, request, &reply, begin, holding: held)
      case .bidirectionalStreaming:
        throw RPCStatus(
          .unsupportedCallType, "\(method.name) takes a stream of requests, which the framed protocol does not support")
      }
    } catch {
      fail(id, method, error, reply.metadata)
    }
  }

  private func openStream(
    _ id: UInt32, _ method: RPCMethod, _ request: borrowing RPCRequest, _ reply: inout RPCReply,
    _ begin: (borrowing RPCRequest, any RPCStreamWriter, inout RPCReply) throws(RPCStatus) -> any RPCStreamHandler,
    holding bytes: Int
  ) throws(RPCStatus) {
    let stream = try addStream(id, method, holding: bytes)
    do {
      let before = ProcessorTime.ofThisThread
      let handler = try begin(request, stream, &reply)
      stream.openingWork = ProcessorTime.ofThisThread &- before
      stream.begin(handler, deadline: request.deadline)
    } catch {
      // The stream handles this, because the handler may have finished it before it threw.
      stream.finish(error, reply.metadata)
    }
  }

  /// Opens a unary call that has to wait. It is an open call like a stream, with one reply.
  private func openWaiting(
    _ id: UInt32, _ method: RPCMethod, _ request: borrowing RPCRequest, _ handle: @escaping RPCWaitingCall.Handler,
    _ wait: RPCWait, holding bytes: Int
  ) throws(RPCStatus) {
    let stream = try addStream(id, method, holding: bytes)
    let call = RPCWaitingCall(request, stream, handle)
    stream.begin(call, deadline: request.deadline)
    call.wait(wait)
  }

  /// - Parameter bytes: The number of bytes that the call's own metadata takes, its credential included.
  private func addStream(
    _ id: UInt32, _ method: RPCMethod, holding bytes: Int
  ) throws(RPCStatus) -> FramedStream {
    let limit = loop.limits.openCalls
    guard streams.count < limit else {
      let message = "\(limit) calls are open on this connection; end one, or open another connection"
      connection.recordRejection(.callsPerConnection, message)
      throw RPCStatus(
        .callsPerConnectionLimit, message,
        metadata: ["limit": ServerLimit.callsPerConnection.rawValue, "maximum": "\(limit)"])
    }
    try connection.requireRoom()
    let stream = FramedStream(
      callID: id, method, connection: self, heldByteCount: FramedLimits.openStreamBytes + bytes)
    streams[id] = stream
    connection.protocolByteCount += stream.heldByteCount
    loop.counters.add(.streamsOpened)
    return stream
  }

  /// Answers `Hello`, or rejects a method name that the router does not contain.
  private func openUnknown(_ call: DecodedCall, id: UInt32) throws(RPCStatus) {
    guard let name = String(validating: call.method, as: UTF8.self), !call.method.contains(0), !name.isEmpty else {
      throw RPCStatus.invalid("method", call.method.isEmpty ? "is empty" : "is not UTF-8, or contains a NUL")
    }
    guard name == "Hello" else {
      let shown = call.method.count <= FramedLimits.methodNameBytes ? "\"\(name)\"" : "of \(call.method.count) bytes"
      throw RPCStatus(.unknownMethod, "unknown method \(shown)")
    }
    // The identity is reset first: after a `Hello` that fails there is no identity, neither that of an earlier `Hello`
    // nor that of a certificate.
    (helloMetadata, helloIdentity) = (RPCMetadata(), identities?.unidentified)
    let metadata = try call.metadata.values()
    let identity = identity(metadata)
    // A credential that is not valid is reported once, in the reply to `Hello`, and not in every call that follows.
    if metadata.hasAuthorization { _ = try identity?.caller() }
    (helloMetadata, helloIdentity) = (metadata, identity)
    send(FrameEncoder.Reply(callID: id, status: .ok, more: false), head: [], body: [], metadata: RPCMetadata())
    loop.calls.ended(nil, .ok)
  }

  /// The metadata and the identity of a call. The metadata are the call's own pairs, and those pairs of `Hello` whose
  /// key the call's own pairs do not contain.
  private func head(of call: DecodedCall) throws(RPCStatus) -> (RPCMetadata, RPCIdentity?) {
    guard call.metadata.count > 0 else { return (helloMetadata, helloIdentity) }
    let own = try call.metadata.values()
    var merged = own
    for pair in helloMetadata.pairs where own[pair.key] == nil { merged.append(pair.key, pair.value) }
    return (merged, own.hasAuthorization ? identity(own) : helloIdentity)
  }

  private func identity(_ metadata: RPCMetadata) -> RPCIdentity? {
    guard let identities else { return nil }
    guard var authorization = metadata["authorization"] else { return identities[nil] }
    // With two values, a proxy may have checked one, and this server would use the other.
    guard metadata.count(of: "authorization") == 1 else { return identities.unidentified }
    return authorization.withUTF8 { identities[UnsafeRawBufferPointer($0)] }
  }

  private func fail(
    _ id: UInt32, _ method: RPCMethod?, _ status: RPCStatus, _ metadata: RPCMetadata = RPCMetadata()
  ) {
    send(FrameEncoder.Reply(callID: id, status: status, more: false), head: [], body: [], metadata: metadata)
    loop.calls.ended(method, status.code)
  }
}

extension RPCMetadata {
  fileprivate var hasAuthorization: Bool { self["authorization"] != nil }
}
